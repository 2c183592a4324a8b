"""Quantisation-aware training: a float model becomes one that computes what its int8 file will.

`check` says before training whether every layer is covered, `prepare` gives the model to fine-tune. Source:
Jacob et al., 2018 (arXiv 1712.05877); Krishnamoorthi, 2018 (arXiv 1806.08342) for the scheme: kernels
symmetric with one scale per channel, activations asymmetric with one range per tensor, batch
normalisation folded with its moving statistics.
"""

import keras
import numpy as np
from keras import ops

from imgrec.compression.build import build
from imgrec.compression.fold import fold
from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.errors import InputError
from imgrec.layers.fake_quant import mode

CALIBRATION_BATCH = 32


def check(model: keras.Model) -> None:
    """Make sure that every layer of `model` has an int8 form; quick, and right for an untrained model.

    Raises:
        InputError: names every layer or operation that is not covered.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "quantisation expects one of each"
        )
    _, problems = lower(expand(model))
    if problems:
        raise InputError(
            f"model {model.name!r} cannot become int8: {'; '.join(problems)}; "
            "use covered layers in their place, or --quantize none"
        )


def prepare(model: keras.Model, calibration: np.ndarray | None = None) -> keras.Model:
    """Return a quantisation-aware copy of a trained `model`, ready for `fit` and for export.

    The copy is a functional model of float32 layers that round weights, input and activations as the
    file does; batch normalisation is folded. It takes the same pixels and gives the same logits but
    for rounding. Its structure depends on the source's structure alone: build the float model again,
    `prepare` it without calibration and load the weights to restore a saved one.

    Args:
        model: functional, `[B, H, W, C]` pixels in 0…255 in, logits out; left as it is.
        calibration: uint8 or float32 `[N, H, W, C]` images from which the ranges start; a range
            that was never calibrated starts at the first training batch.

    Raises:
        InputError: a layer is not covered, or calibration images of another shape.
    """
    check(model)
    graph = expand(model)
    found, _ = lower(graph)
    found, output = fold(found, graph.output)
    quantized = build(found, graph.input, output, name=f"{model.name}_int8")
    if calibration is not None:
        calibrate(quantized, calibration)
    return quantized


def calibrate(quantized: keras.Model, images: np.ndarray) -> None:
    """Set every learned range to the average of the batches' smallest and largest values.

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
