"""TFLite files that are made smaller after training: float16, dynamic range, and int8 by LiteRT's quantiser.

Our own int8 of a calibrated model is written by `litert.to_int8`; `to_static` is for comparison, and for
networks with layers that ours has no form for. What a file takes, gives and says is as in `litert.py`.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from imgrec.artefact import Calibrated
from imgrec.errors import InputError
from imgrec.export.card import Card
from imgrec.export.graph_edit import finish, pack
from imgrec.export.litert import float_content, write

_SIGNATURE = "serving_default"


def to_float16(model: keras.Model, path: str | Path, card: Card | None = None) -> Path:
    """Write a trained model with float16 weights: half the size; processors compute in float32 all the same.

    Args and raises: as `litert.to_float32`.
    """
    import tensorflow as tf

    def tune(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return write(finish(float_content(model, card, tune), card), Path(path), int8=False)


def to_dynamic(model: keras.Model, path: str | Path, card: Card | None = None) -> Path:
    """Write a trained model with int8 weights, whose activations are rounded image by image while it runs.

    Weights of fewer than 1,024 values stay float32, as the converter has it.

    Args and raises: as `litert.to_float32`.
    """
    import tensorflow as tf

    def tune(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return write(finish(float_content(model, card, tune), card), Path(path), int8=False)


def to_static(calibrated: Calibrated, path: str | Path, card: Card | None = None) -> Path:
    """Write a trained model as int8 by LiteRT's quantiser, its ranges measured on the images.

    Operators that it has no int8 form for stay float32. It is a package of its own, extra `quantizer`.

    Args:
        calibrated: float model and images.
        path: of the file; its folder is made.
        card: what the file says of itself; None gives a bare one.

    Raises:
        InputError: the package is missing.
        ExportError: as `litert.to_float32`.
    """
    try:
        from litert_quantizer import qtyping, quantizer, recipe
    except ImportError as error:
        raise InputError(f"--quantize ptq_litert: pip install 'imgrec[quantizer]' ({error})") from None
    content, taken = _with_signature(float_content(calibrated.model, card))
    channels = 3 if card is not None else calibrated.images.shape[-1]
    images = (np.repeat(one[None], channels // one.shape[-1], axis=-1) for one in calibrated.images)
    with _without_chatter():
        quantiser = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
        # The outputs stay float32: the task's last step comes behind them.
        quantiser.update_quantization_recipe(
            ".*", qtyping.TFLOperationName.OUTPUT, algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE
        )
        ranges = quantiser.calibrate({_SIGNATURE: [{taken: image} for image in images]}, num_threads=1)
        made = quantiser.quantize(ranges, enable_progress_report=False).quantized_model
    return write(finish(bytes(made or b""), card), Path(path), int8=False)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep the quantiser's progress bars and its notes on debugging from the user's screen."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _with_signature(content: bytes) -> tuple[bytes, str]:
    """Return a file with the signature by which the quantiser feeds it, and the name of its input."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    (taken,), (given,) = ([_entry(graph, i) for i in indices] for indices in (graph.inputs, graph.outputs))
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
    signature.inputs, signature.outputs = [taken], [given]
    model.signatureDefs = [signature]
    return pack(model), taken.name


def _entry(graph: Any, index: int) -> Any:
    entry = schema.TensorMapT()
    name = graph.tensors[index].name
    entry.name, entry.tensorIndex = name.decode() if isinstance(name, bytes) else name, index
    return entry
