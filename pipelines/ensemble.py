"""Make one recogniser of several finished runs: `python -m pipelines.ensemble RUN RUN… --out DIR`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipelines.cli import guarded, parse

DESCRIPTION = """Put finished runs together into one, which every command takes as it takes a trained run.

  python -m pipelines.ensemble saved_models/seed-* --out saved_models/five
  python -m pipelines.ensemble saved_models/a saved_models/b --out saved_models/ab --how weighted
  python -m pipelines.train --data photos/ --members 5 --out saved_models/five

Members share task, classes, preprocessing and splits; any architectures. A member may be the folder of a
cross-validation (pipelines.crossval): its folds speak as one. What is fitted (weighted, stacking) is fitted
on out-of-fold answers where all members are cross-validations, else on the validation images. See
docs/ensembles.md."""


@dataclass(frozen=True)
class Arguments:
    """What to put together, and how."""

    runs: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN…", help_behavior_hint="")
    ]
    """Folders of finished runs or of cross-validations, two or more."""
    out: Path = Path("saved_models/ensemble")
    """Folder of the ensemble's run; replaced only when it is an imgrec run folder, or empty."""
    how: Literal["soft", "hard", "weighted", "stacking", "soup"] = "soft"
    """soft: mean probability; hard: votes; weighted: mean probability by convex weights that minimise
    cross-entropy; stacking: logistic regression on log-probabilities; soup: one network, the average of the
    members' weights, each taken only where validation accuracy does not fall."""
    quantize: str = "auto"
    """Files beside the float32 file, as train takes it: none, float16, dynamic, ptq, qat; auto: ptq where
    every layer has an int8 form."""
    to: str = "tflite"
    """Formats of the files, joined by commas: tflite, onnx, saved_model, triton, openvino."""
    seed: int = 0
    """Seed of the folds in which weights and stacking are judged."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and make it."""
    words = list(sys.argv[1:] if argv is None else argv)
    asked = parse(Arguments, words, prog="python -m pipelines.ensemble", description=DESCRIPTION)
    from imgrec.runs.ensembles.making import Recipe, make

    return make(Recipe(**vars(asked)), " ".join(["python -m pipelines.ensemble", *words]))


if __name__ == "__main__":
    guarded(main)
