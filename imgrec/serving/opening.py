"""A predictor of whatever a user names: a run, one of its files, or published weights."""

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgrec import bundle
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.guards.documents import read_json
from imgrec.runtimes import RUN, kind_of
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.task import Task

if TYPE_CHECKING:
    import keras

ADAPTED_ON = 1024
"""At most this many images are looked at by --adapt-bn."""
PRIOR = 16
"""What training's statistics count for, in images: Schneider et al., 2020, for a few to many images."""


def open_predictor(
    run: Path, weights: str, model: str, adapt_to: Sequence[Path] = (), keras_itself: bool = False
) -> Predictor:
    """Load a run or one of its files, or the model named `model` with ImageNet weights.

    Args:
        run: a run folder or one of its files; `Path()` for none.
        weights: imagenet, or a file of them; empty for none.
        model: name of the model that they are for.
        adapt_to: image files whose statistics batch normalisation is to take; none leaves it as it is.
        keras_itself: a run folder answers with its Keras model, even if its float32 file would do; an
            ensemble's does in any case.

    Raises:
        InputError: these do not go together, or cannot be loaded.
    """
    _check(run, weights, model, bool(adapt_to))
    if not weights and not adapt_to:
        return Predictor.load(run, keras_itself or _is_ensemble(run))
    import_frameworks()
    if weights:
        network, preprocess, task = _pretrained(weights, model)
    else:
        loaded = bundle.load(run)
        network, preprocess, task = loaded.model, loaded.preprocess, loaded.task
    if adapt_to:
        _adapt_bn(network, preprocess, adapt_to)
    return Predictor.of_model(network, preprocess, task)


def _is_ensemble(run: Path) -> bool:
    """Whether it is an ensemble's folder: how far its networks are apart, the Keras model alone can say."""
    if kind_of(run) != RUN:
        return False
    try:
        model = read_json(run / "run.json").get("model")
    except InputError:
        return False  # missing or damaged: loading it says so, by its manifest
    return isinstance(model, dict) and "members" in model


def _check(run: Path, weights: str, model: str, adapts: bool) -> None:
    """Raise InputError where the flags do not go together."""
    pretrained = "--weights imagenet --model efficientnet_lite0"
    if bool(weights) != bool(model):
        raise InputError(f"--weights and --model go together: {pretrained}")
    if run == Path() and not weights:
        raise InputError(
            "no --run: name a run folder or one of its files, such as --run saved_models/sample, "
            f"or use {pretrained}"
        )
    if run != Path() and weights:
        raise InputError(f"--run {run} has weights of its own: leave out --weights and --model")
    if adapts and not weights and kind_of(run) != RUN:
        raise InputError(f"--adapt-bn: the statistics of {run} are fixed; name the run folder it came from")


def _adapt_bn(model: "keras.Model", preprocess: Preprocess, files: Sequence[Path]) -> None:
    """Re-estimate the model's batch statistics on `ADAPTED_ON` of the files at most, drawn by a seed."""
    from imgrec.learning.adaptive_bn import adapt_batch_norm

    order = np.random.default_rng(0).permutation(len(files))
    read = (_pixels(preprocess, files[index]) for index in order)
    readable = list(islice((pixels for pixels in read if pixels is not None), ADAPTED_ON))
    if not readable:
        raise InputError(f"--adapt-bn: none of the {len(files)} images can be read; give some that can")
    images = np.stack(readable)
    layers = adapt_batch_norm(model, images, prior=PRIOR)
    print(f"note: statistics of {layers} layers adapted to {len(images)} of these images", file=sys.stderr)


def _pixels(preprocess: Preprocess, file: Path) -> "np.ndarray | None":
    """Return the model's pixels of a file, None of one that cannot be read: its row will say so."""
    try:
        return preprocess.on_file(file)
    except InputError:
        return None


def _pretrained(weights: str, name: str) -> "tuple[keras.Model, Preprocess, Task]":
    """Build the named model with its published weights."""
    from imgrec.models import build_model, info
    from imgrec.models.pretrained import imagenet_labels, load_pretrained

    labels, size = imagenet_labels(), info(name).image_size
    model = build_model(name, (size, size, 3), len(labels))
    note = load_pretrained(model, weights, new_head=False)
    print(f"note: {note}", file=sys.stderr)
    return model, Preprocess((size, size)), Multiclass(tuple(labels))
