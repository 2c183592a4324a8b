"""Say what is on an image: `python -m pipelines.predict photo.jpg --run saved_models/sample`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.cli import guarded, json_line, parse

DESCRIPTION = """Say what is on images, with a trained run, one of its exported files, or ImageNet weights.

  python -m pipelines.predict photo.jpg --run saved_models/sample
  python -m pipelines.predict photos/ --run saved_models/sample/exports/qat_int8.tflite --json
  python -m pipelines.predict photo.jpg --weights imagenet --model efficientnet_lite0

An image is prepared as in training. A run folder answers with its float32.tflite, without TensorFlow, where
it agreed with the Keras model on every image that was measured; else with that model. An image that cannot be
read has its reason in its row, and the exit code is 1."""


@dataclass(frozen=True)
class Arguments:
    """What to recognise, and with what."""

    images: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE…", help_behavior_hint="")
    ]
    """Image files, or folders of them (subfolders and linked ones too; hidden ones not)."""
    run: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE.tflite|FILE.onnx", help_behavior_hint="")] = Path()
    """A run folder, or an exported file; a .tflite or .onnx runs without TensorFlow."""
    keras: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Let a run folder answer with its Keras model in any case: on a GPU, where there is one."""
    weights: Annotated[str, tyro.conf.arg(metavar="imagenet|FILE", help_behavior_hint="")] = ""
    """In place of --run: weights for ImageNet's 1000 classes, published or in a .safetensors or .pth file."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """The model that --weights are for, such as efficientnet_lite0."""
    adapt_bn: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """First take batch normalisation's statistics from these images (adaptive BN): many, of another light or
    camera than in training; not with an exported file, whose statistics are fixed."""
    views: Annotated[str, tyro.conf.arg(metavar="folder|all", help_behavior_hint="")] = ""
    """These are pictures of objects, answered as one: those of a folder (folder), or all of them (all)."""
    top: int = 5
    """How many classes to name, the most probable first."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """One JSON object a line: "path" and "label", "probability", "top" (or "labels", "top"), or "error"."""


def run(arguments: Arguments) -> int:
    """Print every image's answer as it comes; return 1 where one cannot be read. Raises InputError."""
    from imgrec.data.finding import find_images
    from imgrec.serving.objects import answers_of
    from imgrec.serving.opening import open_predictor

    found = find_images(arguments.images)
    if found.left_out:
        print(f"left out: {found.left_out}", file=sys.stderr)
    adapt_to = found.files if arguments.adapt_bn else ()
    predictor = open_predictor(arguments.run, arguments.weights, arguments.model, adapt_to, arguments.keras)
    answers = answers_of(predictor, arguments.run, found.files, arguments.views, arguments.top)
    failed, width = 0, max(min(len(str(file)), 100) for file in found.files)
    for row in chain(answers, ({"path": str(folder), "error": reason} for folder, reason in found.closed)):
        failed += "error" in row or "unread" in row
        said = f"error: {row['error']}" if "error" in row else predictor.task.line(row)
        print(json_line(row) if arguments.json else f"{row['path']:<{width}}  {said}", flush=True)
    if not arguments.json:
        print(f"images: {len(found.files)}, not read: {failed}, answers by {predictor.runtime.name}")
    return int(failed > 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    return run(parse(Arguments, argv, prog="python -m pipelines.predict", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
