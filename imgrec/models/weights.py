"""Reads the weights of reference implementations: torchvision's and timm's names and layouts."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias, cast

import keras
import numpy as np

from imgrec.errors import InputError
from imgrec.models import MODELS
from imgrec.models.architecture import Architecture

Candidate: TypeAlias = tuple[tuple[str, ...], keras.layers.Layer, Any]
"""Reference names, layer and variable of a weight."""

_SUFFIXES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras's name of a variable → PyTorch's."""
_IGNORED = "num_batches_tracked"
"""A counter that PyTorch keeps beside every batch normalisation and that changes no output."""


def load_state(model: keras.Model, state: Mapping[str, np.ndarray], leave: Collection[str] = ()) -> None:
    """Give `model` the weights of a reference implementation, or leave it untouched.

    Args:
        model: built by `build_model`; its name tells the family.
        state: reference name → array in PyTorch's layout, as a timm or torchvision checkpoint has it
            (convolutions O×I×H×W, linear layers out×in).
        leave: names of layers that keep the weights they have; what `state` holds for them is passed over.

    Raises:
        InputError: names missing or left over, or a shape that does not fit; nothing is assigned.
    """
    unused = re.compile(f".*{_IGNORED}|{_row(model).unused_state}")
    arrays = {name: array for name, array in state.items() if not unused.fullmatch(name)}
    left = {n for names, layer, _ in candidates(model) if layer.name in leave for n in names}
    arrays = {name: array for name, array in arrays.items() if name not in left}
    wanted = {n: where for n, where in _wanted(model, arrays) if where[0].name not in leave}
    missing = sorted(wanted.keys() - arrays.keys())
    left_over = sorted(arrays.keys() - wanted.keys())
    if missing or left_over:
        raise InputError(f"weights for {model.name}: {_listing('missing', missing, 'left over', left_over)}")
    values, unfit = {}, []
    for name, (layer, variable) in wanted.items():
        value = _to_keras(np.asarray(arrays[name]), layer, variable)
        if value.shape != tuple(variable.shape):
            unfit.append(f"{name} {np.shape(arrays[name])} for {variable.path} {tuple(variable.shape)}")
        values[name] = value
    if unfit:
        raise InputError(f"weights for {model.name}: {_listing('wrong shapes', unfit)}")
    for name, (_, variable) in wanted.items():
        variable.assign(values[name])


def _wanted(
    model: keras.Model, arrays: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, tuple[keras.layers.Layer, Any]]]:
    """Every weight of `model` under the one of its reference names that `arrays` has, else the first."""
    for names, layer, variable in candidates(model):
        yield next((name for name in names if name in arrays), names[0]), (layer, variable)


def _row(model: keras.Model) -> Architecture:
    row = MODELS.get(model.name)
    if row is None or row.reference_names is None:
        known = ", ".join(name for name, row in MODELS.items() if row.reference_names)
        raise InputError(f"weights for {model.name!r}: no reference names are known; known: {known}")
    return row


def candidates(model: keras.Model) -> Iterator[Candidate]:
    """Every weight of `model` in order, with its layer and the names a checkpoint may hold it under.

    Raises:
        InputError: the model's family has no reference implementation.
    """
    names_of = cast(Callable[[str], tuple[str, ...]], _row(model).reference_names)
    for layer in model.layers:
        for variable in layer.variables:
            if "seed_generator" in variable.path:
                continue
            path = layer.name + variable.path.rpartition(layer.name)[2]
            owner, _, kind = path.rpartition("/")
            if kind in _SUFFIXES:
                names = names_of(owner)
                yield _suffixed(names, _SUFFIXES[kind]), layer, variable
            else:
                yield names_of(path), layer, variable


def _suffixed(names: tuple[str, ...], suffix: str) -> tuple[str, ...]:
    # torch.nn.MultiheadAttention joins its input projection's name and suffix with an underscore.
    return tuple(f"{name}_{suffix}" if name.endswith("in_proj") else f"{name}.{suffix}" for name in names)


def _to_keras(array: np.ndarray, layer: keras.layers.Layer, variable: Any) -> np.ndarray:
    """Bring `array` from PyTorch's layout to Keras's; a shape that fits no rule is returned as it came."""
    rank = len(variable.shape)
    if rank == 4 and array.ndim == 4:
        # A depthwise convolution: C×1×H×W there, H×W×C×1 here.
        depthwise = array.shape[1] == 1 and variable.shape[2:] == (array.shape[0], 1)
        return array.transpose(2, 3, 0, 1) if depthwise else array.transpose(2, 3, 1, 0)
    if rank == 4 and array.ndim == 2:
        return array.T[None, None]  # a linear layer on channels is a 1×1 convolution
    if rank == 2 and array.ndim in (2, 4) and variable.path.endswith("/kernel"):
        # A convolution as large as its map is a dense layer on the flattened map.
        return _dense(array.reshape(len(array), -1), layer)
    if rank == 1 and array.ndim > 1 and array.size == len(array):
        return array.reshape(-1)  # C×1×1, a scale that multiplies channels
    return array


def _dense(array: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Out×in to in×out; after a Flatten the inputs also go from C×H×W to H×W×C order."""
    source = layer.input._keras_history.operation
    while isinstance(source, keras.layers.Dropout):
        source = source.input._keras_history.operation
    if isinstance(source, keras.layers.Flatten):
        height, width, channels = source.input.shape[1:]
        if array.shape[1] == height * width * channels:
            array = array.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            array = array.reshape(len(array), -1)
    return array.T


def _listing(*parts: Any, most: int = 4) -> str:
    """`missing 12: a, b, c, d, …; left over 1: z`."""
    texts = []
    for label, names in zip(parts[::2], parts[1::2], strict=True):
        if names:
            more = ", …" if len(names) > most else ""
            texts.append(f"{label} {len(names)}: {', '.join(names[:most])}{more}")
    return "; ".join(texts)
