"""Make files of a finished run, without training it again: `python -m pipelines.export --run RUN`."""

import sys
from collections.abc import Sequence

from imgrec.runs.shipping import ExportSettings, ship
from pipelines.cli import guarded, parse

DESCRIPTION = """Make files to ship of a finished run, without training it again.

  python -m pipelines.export --run saved_models/photos --to tflite --quantize ptq
  python -m pipelines.export --run saved_models/photos --quantize qat --out saved_models/photos-int8
  python -m pipelines.export --run saved_models/photos --quantize ptq --prune 0.5

Every file is put beside the model on real test images, one at a time, as at the end of a training. On the
run's own data they are, byte for byte, the files that its training would have written. Quantisation after
training (ptq) needs a few training images, quantisation-aware (qat) goes on training for the run's
--qat-epochs, and a pruned network (--prune) for its own epochs; the run folder stays as it is. Exit code 1: a
file does not answer as the model does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and export."""
    words = list(sys.argv[1:] if argv is None else argv)
    settings = parse(ExportSettings, words, prog="python -m pipelines.export", description=DESCRIPTION)
    return ship(settings, " ".join(["python -m pipelines.export", *words]))


if __name__ == "__main__":
    guarded(main)
