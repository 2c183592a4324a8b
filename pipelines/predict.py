"""Say what is on an image: `python -m pipelines.predict photo.jpg --run saved_models/sample`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from imgrec.errors import InputError
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """Say what is on images, with a trained run, one of its exported files, or ImageNet weights.

  python -m pipelines.predict photo.jpg --run saved_models/sample
  python -m pipelines.predict photos/ --run saved_models/sample/exports/qat_int8.tflite --json
  python -m pipelines.predict photo.jpg --weights imagenet --model efficientnet_lite0

An image is prepared exactly as in training. For ImageNet weights its centre square is scaled to the size
that the model is made for."""


@dataclass(frozen=True)
class Arguments:
    """What to recognise, and with what."""

    images: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE…", help_behavior_hint="")
    ]
    """Image files, or folders of them (subfolders too, in the order of their names)."""
    run: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE.tflite", help_behavior_hint="")] = Path()
    """A run folder, or a .tflite file with preprocess.json and labels.txt beside it (no TensorFlow)."""
    weights: Annotated[str, tyro.conf.arg(metavar="imagenet|FILE", help_behavior_hint="")] = ""
    """In place of --run: weights for ImageNet's 1000 classes, published or in a .safetensors or .pth file."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """The model that --weights are for, such as efficientnet_lite0."""
    adapt_bn: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """First take the statistics of batch normalisation from these images themselves (adaptive BN), for many
    images of another light or camera than in training; not with a .tflite, whose statistics are fixed."""
    top: int = 5
    """How many classes to name, the most probable first."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON list of {"image", "predictions": [{"label", "probability"}]}, and nothing else; with
    "labels", those above a half, where an image may have several."""


def run(arguments: Arguments) -> int:
    """Recognise every image and print a table or JSON on standard output; return the exit code, 0.

    Raises:
        InputError: no image, an unreadable one (named), or a run or weights that cannot be loaded.
    """
    if arguments.top < 1:
        raise InputError(f"--top {arguments.top}: expected at least 1")
    from imgrec.serving import files, opening

    images, skipped = files.find_images(arguments.images)
    adapt_to = images if arguments.adapt_bn else ()
    predictor = opening.open_predictor(arguments.run, arguments.weights, arguments.model, adapt_to)
    said = predictor.answers(images, arguments.top)
    if arguments.json:
        print_json(list(said))
        return 0
    for answer in said:
        print(answer["image"] + "\n".join(predictor.task.lines(answer)) + "\n")
    what = f"{arguments.model}, {arguments.weights}" if arguments.weights else arguments.run
    others = f" ({len(skipped)} other files skipped)" if skipped else ""
    print(f"{len(images)} image{'s' * (len(images) != 1)} recognised with {what}{others}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    return run(parse(Arguments, argv, prog="python -m pipelines.predict", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
