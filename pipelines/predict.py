"""Say what is on an image: `python -m pipelines.predict photo.jpg --run saved_models/sample`."""

import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import tyro

from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from pipelines.cli import guarded, parse

if TYPE_CHECKING:
    from imgrec.data.preprocess import Preprocess
    from imgrec.serving.predictor import Predictor

DESCRIPTION = """Say what is on images, with a trained run, one of its exported files, or ImageNet weights.

  python -m pipelines.predict photo.jpg --run saved_models/sample
  python -m pipelines.predict photos/ --run saved_models/sample/exports/qat_int8.tflite --json
  python -m pipelines.predict photo.jpg --weights imagenet --model efficientnet_lite0

An image is prepared exactly as in training. For ImageNet weights its centre square is scaled to the size
that the model is made for."""

BATCH = 64
BAR = 20
ADAPTED_ON = 1024
"""At most this many images are looked at by --adapt-bn."""
PRIOR = 16
"""What training's statistics count for, in images: Schneider et al., 2020, for a few to many images."""


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
    check(arguments)
    files, skipped = find_images(arguments.images)
    predictor = load(arguments, files)
    answers: list[dict[str, Any]] = []
    for start in range(0, len(files), BATCH):
        batch = recognise(predictor, files[start : start + BATCH], arguments.top)
        if arguments.json:
            answers += batch
        else:
            print("\n\n".join(table(answer) for answer in batch) + "\n")
    if arguments.json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
    else:
        plural = "" if len(files) == 1 else "s"
        what = f"{arguments.model}, {arguments.weights}" if arguments.weights else arguments.run
        print(f"{len(files)} image{plural} recognised with {what}{_skipped(skipped)}")
    return 0


def check(arguments: Arguments) -> None:
    """Raise InputError where the flags do not go together."""
    pretrained = "--weights imagenet --model efficientnet_lite0"
    if bool(arguments.weights) != bool(arguments.model):
        raise InputError(f"--weights and --model go together: {pretrained}")
    if arguments.run == Path() and not arguments.weights:
        raise InputError(
            "no --run: name a run folder or a .tflite file, such as --run saved_models/sample, "
            f"or use {pretrained}"
        )
    if arguments.run != Path() and arguments.weights:
        raise InputError(f"--run {arguments.run} has weights of its own: leave out --weights and --model")
    if arguments.adapt_bn and not arguments.weights and arguments.run.suffix == ".tflite":
        raise InputError(
            f"--adapt-bn: the statistics of {arguments.run} are fixed; name the run folder it came from"
        )
    if arguments.top < 1:
        raise InputError(f"--top {arguments.top}: expected at least 1")


def load(arguments: Arguments, files: Sequence[Path] = ()) -> "Predictor":
    """Load the run, the exported file, or the pretrained model; adapt it to `files` where asked for."""
    from imgrec.serving.predictor import Predictor

    whole = (arguments.run / "model.keras").is_file()
    if arguments.weights or whole:
        import_frameworks()
    if not arguments.weights and not (arguments.adapt_bn and whole):
        return Predictor.load(arguments.run)
    if arguments.weights:
        model, preprocess, labels = _pretrained(arguments)
    else:
        from imgrec import bundle

        loaded = bundle.load(arguments.run)
        model, preprocess, labels = loaded.model, loaded.preprocess, loaded.labels
    if arguments.adapt_bn:
        _adapt_bn(model, preprocess, files)
    return Predictor.of_model(model, preprocess, labels)


def _adapt_bn(model: Any, preprocess: "Preprocess", files: Sequence[Path]) -> None:
    """Re-estimate the model's batch statistics on `ADAPTED_ON` of the files at most, drawn by a seed."""
    import numpy as np

    from imgrec.learning.adaptive_bn import adapt_batch_norm

    chosen = np.random.default_rng(0).permutation(len(files))[:ADAPTED_ON]
    images = np.stack([preprocess.on_file(files[i]) for i in chosen])
    layers = adapt_batch_norm(model, images, prior=PRIOR)
    print(f"note: statistics of {layers} layers adapted to {len(images)} of these images", file=sys.stderr)


def _pretrained(arguments: Arguments) -> "tuple[Any, Preprocess, tuple[str, ...]]":
    """Build the named model with its published weights."""
    from imgrec.data.preprocess import Preprocess
    from imgrec.models import build_model, info
    from imgrec.models.pretrained import imagenet_labels, load_pretrained

    labels, size = imagenet_labels(), info(arguments.model).image_size
    model = build_model(arguments.model, (size, size, 3), len(labels))
    note = load_pretrained(model, arguments.weights, new_head=False)
    print(f"note: {note}", file=sys.stderr)
    return model, Preprocess((size, size)), labels


def find_images(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the image files named or lying in the folders named, and the other files found there.

    A file that is named is taken whatever its name ends in.

    Raises:
        InputError: nothing named, a path that does not exist, or a folder without an image.
    """
    from imgrec.data.header import SUPPORTED

    if not paths:
        raise InputError("no image named: expected image files or folders, such as photo.jpg")
    files: list[Path] = []
    skipped: list[Path] = []
    for path in paths:
        if path.is_dir():
            within = sorted(
                Path(top, name) for top, _, names in os.walk(path, onerror=_stop) for name in names
            )
            images = [f for f in within if f.suffix.lower() in SUPPORTED and not f.name.startswith(".")]
            if not images:
                kinds = " ".join(sorted(SUPPORTED))
                raise InputError(
                    f"{path}: no image among the {len(within)} files of this folder; expected {kinds}"
                )
            files += images
            skipped += sorted(set(within) - set(images))
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    if skipped:
        print(f"skipped, no image by name: {_some(skipped)}", file=sys.stderr)
    return files, skipped


def _stop(error: OSError) -> NoReturn:
    """Say which folder cannot be listed, instead of passing it over."""
    raise InputError(f"{error.filename}: {error.strerror}")


def recognise(predictor: "Predictor", files: Sequence[Path], top: int) -> list[dict[str, Any]]:
    """Return `{"image", "predictions": [{"label", "probability"}]}` of each file, best class first.

    Where an image may have several labels, `labels` beside them has those above a half.
    """
    answers = []
    for file, row in zip(files, predictor.predict_files(files), strict=True):
        best = (-row).argsort(kind="stable")[:top]
        predictions = [{"label": predictor.labels[i], "probability": float(row[i])} for i in best]
        answer: dict[str, Any] = {"image": str(file), "predictions": predictions}
        if predictor.several:
            answer["labels"] = [label for label, p in zip(predictor.labels, row, strict=True) if p > 0.5]
        answers.append(answer)
    return answers


def table(answer: dict[str, Any]) -> str:
    """Return one image's answer as lines: class, percentage, bar."""
    predictions = answer["predictions"]
    width = max(len(entry["label"]) for entry in predictions)
    said = f": {', '.join(answer['labels']) or 'no label above 50 %'}" if "labels" in answer else ""
    lines = [answer["image"] + said]
    for entry in predictions:
        share = entry["probability"]
        lines.append(
            f"  {entry['label']:<{width}}  {100 * share:5.1f} %  {'█' * round(BAR * share)}".rstrip()
        )
    return "\n".join(lines)


def _some(paths: Sequence[Path], shown: int = 3) -> str:
    """Return the first names of a list, and how many more there are."""
    more = f" and {len(paths) - shown} more" if len(paths) > shown else ""
    return ", ".join(map(str, paths[:shown])) + more


def _skipped(paths: Sequence[Path]) -> str:
    return f" ({len(paths)} other files skipped)" if paths else ""


def main(argv: list[str] | None = None) -> int:
    """Read the flags and run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may hold bytes that are no text; it must not end the program.
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    return run(parse(Arguments, words, prog="python -m pipelines.predict", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
