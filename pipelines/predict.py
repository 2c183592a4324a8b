"""Say what is on an image: `python -m pipelines.predict photo.jpg --run saved_models/sample`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from imgrec.explain.settings import ExplainSettings
from imgrec.serving.views import ViewSettings
from pipelines.cli import guarded, json_line, parse, with_value

DESCRIPTION = """Say what is on images, with a trained run, one of its exported files, or ImageNet weights.

  python -m pipelines.predict photo.jpg --run saved_models/sample
  python -m pipelines.predict photos/ --run saved_models/sample/exports/qat_int8.tflite --json
  python -m pipelines.predict photo.jpg --weights imagenet --model efficientnet_lite0 --explain

A run folder answers with its float32.tflite, without TensorFlow, where that was proven to answer as the
Keras model. An image that cannot be read has its reason in its row, and the exit code is 1."""


@dataclass(frozen=True)
class Arguments:
    """What to recognise, and with what."""

    images: Annotated[tuple[Path, ...], Positional, arg(metavar="IMAGE…", help_behavior_hint="")]
    """Image files, or folders of them (subfolders and linked ones too; hidden ones not)."""
    run: Annotated[Path, arg(metavar="DIR|FILE.tflite|FILE.onnx", help_behavior_hint="")] = Path()
    """A run folder, or an exported file; a .tflite or .onnx runs without TensorFlow."""
    keras: Annotated[bool, FlagCreatePairsOff] = False
    """Let a run folder answer with its Keras model in any case: on a GPU, where there is one."""
    weights: Annotated[str, arg(metavar="imagenet|FILE", help_behavior_hint="")] = ""
    """In place of --run: weights for ImageNet's 1000 classes, published or in a .safetensors or .pth file."""
    model: Annotated[str, arg(metavar="NAME", help_behavior_hint="")] = ""
    """The model that --weights are for."""
    adapt_bn: Annotated[bool, FlagCreatePairsOff] = False
    """First take batch normalisation's statistics from these images: many, of another light or camera."""
    top: int = 5
    """How many classes to name, the most probable first."""
    objects: ViewSettings = field(default_factory=ViewSettings)
    maps: ExplainSettings = field(default_factory=ExplainSettings)
    json: Annotated[bool, FlagCreatePairsOff] = False
    """One JSON object a line: "path" and "label", "probability", "top" (or "labels", "top"), or "error"."""


def run(asked: Arguments) -> int:
    """Print every image's answer as it comes; return 1 where one cannot be read. Raises InputError."""
    from imgrec.data.finding import find_images
    from imgrec.serving.opening import open_predictor

    found = find_images(asked.images)
    if found.left_out:
        print(f"left out: {found.left_out}", file=sys.stderr)
    adapt_to, by_keras = found.files if asked.adapt_bn else (), asked.keras or asked.maps.looks_inside
    predictor = open_predictor(asked.run, asked.weights, asked.model, adapt_to, by_keras)
    answers = asked.objects.answers(predictor, asked.run, found.files, asked.top, asked.maps.explain)
    answers = asked.maps.along(predictor.parts, answers, found.files)
    failed, width = 0, max(min(len(str(file)), 100) for file in found.files)
    for row in chain(answers, ({"path": str(folder), "error": reason} for folder, reason in found.closed)):
        failed += "error" in row or "unread" in row
        said = f"error: {row['error']}" if "error" in row else predictor.line(row)
        print(json_line(row) if asked.json else f"{row['path']:<{width}}  {said}", flush=True)
    if not asked.json:
        end = predictor.runtime.name + asked.maps.said
        print(f"images: {len(found.files)}, not read: {failed}, answers by {end}")
    return int(failed > 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = with_value(sys.argv[1:] if argv is None else argv, "--explain", "auto")
    return run(parse(Arguments, words, prog="python -m pipelines.predict", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
