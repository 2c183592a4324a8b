"""Add classes to a finished recogniser from a few pictures: `python -m pipelines.enroll --run RUN new`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.cli import guarded, parse

DESCRIPTION = """Add classes to a finished recogniser, from 1 to 20 pictures each and without training.

  python -m pipelines.enroll --run saved_models/photos new/
  python -m pipelines.enroll --run saved_models/photos new/ --out saved_models/photos-and-more

new/ has one folder of pictures for each new class, named as the class; or train/ and test/ with such folders,
and the test pictures are measured on. The run stays as it is; the new one is measured, reported and exported
as any other, and every command takes it. The run's own data must be there: old and new classes are put beside
each other. See docs/few-labels.md."""


@dataclass(frozen=True)
class Arguments:
    """What to add to which run."""

    pictures: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTOS")]
    """Folder with one folder of pictures for each new class."""
    run: Path
    """Folder of a finished run, about one class an image."""
    out: Path | None = None
    """Folder of the new run, by default RUN-enrolled; replaced only when it is an imgrec run folder, or
    empty."""
    quantize: str = "auto"
    """Files beside the float32 file, as train takes it: none, float16, dynamic, ptq; auto: ptq where every
    layer has an int8 form."""
    to: str = "tflite"
    """Formats of the files, joined by commas: tflite, onnx, saved_model, triton, openvino."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and enrol."""
    words = list(sys.argv[1:] if argv is None else argv)
    asked = parse(Arguments, words, prog="python -m pipelines.enroll", description=DESCRIPTION)
    from imgrec.runs.enrolling import Enrolment, enroll

    out = asked.out or asked.run.with_name(f"{asked.run.name}-enrolled")
    command = " ".join(["python -m pipelines.enroll", *words])
    return enroll(Enrolment(asked.run, asked.pictures, out, asked.quantize, asked.to), command)


if __name__ == "__main__":
    guarded(main)
