"""Measure a finished run, on its own or on new data: `python -m pipelines.evaluate --run RUN --data SPEC`."""

import contextlib
import json
import sys
from collections.abc import Sequence

from imgrec.runs.evaluating import EvaluationSettings, evaluate
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """Measure a finished run: figures, every image's answer, a report, in a folder of their own.

  python -m pipelines.evaluate --run saved_models/photos
  python -m pipelines.evaluate --run saved_models/photos --data new/
  python -m pipelines.evaluate --run saved_models/photos --data csv:new.csv --out saved_models/new
  python -m pipelines.evaluate --run saved_models/photos --json --lang zh

Without --data it is measured on the test split that its training set apart, and gives the figures of the
training. New data is prepared as in training, and its classes are matched by their names: other orders and
missing classes are no matter, a class that the run does not know is refused.
The run folder stays as it is: results go to RUN.evaluations/, beside it. What is better, of runs or of
evaluations, says python -m pipelines.compare."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and measure."""
    words = list(sys.argv[1:] if argv is None else argv)
    asked = parse(EvaluationSettings, words, prog="python -m pipelines.evaluate", description=DESCRIPTION)
    command = " ".join(["python -m pipelines.evaluate", *words])
    with contextlib.redirect_stdout(sys.stderr) if asked.json else contextlib.nullcontext():
        folder = evaluate(asked, command)
    if asked.json:
        print_json(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    guarded(main)
