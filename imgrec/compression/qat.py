"""Quantisation-aware training: a float model becomes one that computes what its int8 file will.

`check` says before training whether every layer is covered, `prepare` gives the model to fine-tune. Source:
Jacob et al., 2018 (arXiv 1712.05877); Krishnamoorthi, 2018 (arXiv 1806.08342) for the scheme: kernels
symmetric with one scale per channel, activations asymmetric with one range per tensor, batch
normalisation folded with its moving statistics.
"""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.compression.build import build
from imgrec.compression.floating import Cost, cost, resolve
from imgrec.compression.fold import fold
from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.compression.operations import Op
from imgrec.compression.scheme import Scheme, names, scheme
from imgrec.errors import InputError
from imgrec.layers.fake_quant import mode
from imgrec.layers.learned_step import LearnedStep
from imgrec.spec import Value

CALIBRATION_BATCH = 32


def check(model: keras.Model, **options: Any) -> None:
    """Make sure that every layer of `model` has an int8 form; quick, and right for an untrained model.

    Args:
        model: to be quantised.
        options: as `prepare` takes them.

    Raises:
        InputError: names every layer or operation that is not covered, or an option that asks for nothing.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "quantisation expects one of each"
        )
    found, problems = lower(expand(model))
    if problems:
        raise InputError(
            f"model {model.name!r} cannot become int8: {'; '.join(problems)}; "
            "use covered layers in their place, or --quantize none"
        )
    _scheme(model, found, options)


def prepare(
    model: keras.Model,
    calibration: np.ndarray | None = None,
    *,
    observer: Value = "mean",
    float: Value = (),
    activations: Value = 8,
    lsq: Value = False,
    weights: Value = 8,
) -> keras.Model:
    """Return a quantisation-aware copy of a trained `model`, ready for `fit` and for export.

    The copy is a functional model of float32 layers that round weights, input and activations as the
    file does; batch normalisation is folded. It takes the same pixels and gives the same logits but
    for rounding. Its structure depends on the source's structure alone: build the float model again,
    `prepare` it without calibration and load the weights to restore a saved one.

    Args:
        model: functional, `[B, H, W, C]` pixels in 0…255 in, logits out; left as it is.
        calibration: uint8 or float32 `[N, H, W, C]` images from which the ranges start; a range
            that was never calibrated starts at the first training batch.
        observer: how ranges come of calibration images, a name in `OBSERVERS` with its options.
        float: names of endpoints or layers, or patterns for them, that stay float32.
        activations: bits of activations, 8 or 16.
        lsq: what learns its step size (`True`: both; `"activations"`, `"weights"`); wants calibration.
        weights: bits of kernels, 8 or 4.

    Raises:
        InputError: a layer is not covered, calibration images of another shape, or a wrong option.
    """
    options = {
        "observer": observer,
        "float": float,
        "activations": activations,
        "lsq": lsq,
        "weights": weights,
    }
    check(model, **options)
    graph = expand(model)
    found, _ = lower(graph)
    chosen = _scheme(model, found, options)
    found, output = fold(found, graph.output)
    quantized = build(found, graph.input, output, name=f"{model.name}_int8", scheme=chosen)
    if calibration is not None:
        calibrate(quantized, calibration)
    return quantized


def calibrated(
    model: keras.Model,
    calibration: np.ndarray,
    *,
    observer: Value = "mean",
    float: Value = (),
    activations: Value = 8,
) -> keras.Model:
    """Return what is exported without training: `prepare`, by what needs none."""
    return prepare(model, calibration, observer=observer, float=float, activations=activations)


def stem(name: str, weights: Value = 8, activations: Value = 8, **others: Value) -> str:
    """Return the stem of a file's name, `qat_int8`, or `qat_w4a8` where not all is of eight bits."""
    return f"{name}_int8" if (weights, activations) == (8, 8) else f"{name}_w{weights}a{activations}"


def cost_of_float(model: keras.Model, **options: Any) -> Cost | None:
    """Return which parts the options leave float32 and what they cost; None where they leave none.

    Args:
        model: as `prepare` takes it, its input's size known.
        options: as `prepare` takes them.
    """
    image = keras.Input(batch_shape=(1, *model.inputs[0].shape[1:]), name=model.inputs[0].name)
    single = keras.models.clone_model(model, input_tensors=image)  # over a batch of one every shape is known
    found, _ = lower(expand(single))
    chosen = _scheme(single, found, options)
    return cost(found, chosen.left_float, chosen.weights)


def _scheme(model: keras.Model, found: list[Op], options: dict[str, Any]) -> Scheme:
    """What the options ask for, and of this model."""
    rest = {key: value for key, value in options.items() if key != "float"}
    left_float = resolve(model, found, names(options.get("float", ())))
    return replace(scheme(**rest), left_float=left_float)


def calibrate(quantized: keras.Model, images: np.ndarray) -> None:
    """Set every range that is not fixed to what its observer sees in the batches, and begin learned steps.

    Args:
        quantized: a model from `prepare`.
        images: uint8 or float32 `[N, H, W, C]` in 0…255, N ≥ 1.

    Raises:
        InputError: no images, or images of another shape than the model's input.
    """
    expected = tuple(quantized.inputs[0].shape[1:])
    shape = ", ".join(map(str, expected))
    if images.ndim != 4 or images.shape[1:] != expected or not len(images):
        raise InputError(f"calibration images have shape {images.shape}; expected [N, {shape}], N ≥ 1")
    with mode("observe"):
        for start in range(0, len(images), CALIBRATION_BATCH):
            batch = np.asarray(images[start : start + CALIBRATION_BATCH], "float32")
            quantized(ops.convert_to_tensor(batch), training=False)
    for layer in quantized.layers:
        if isinstance(layer, LearnedStep):
            layer.settle()
