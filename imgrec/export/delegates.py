"""Which operators of a TFLite file Android's accelerators take; the others run on the processor.

The GPU table is what TensorFlow's own offline check has (`tensorflow/lite/tools/versioning/
gpu_compatibility.cc`, `CheckGpuDelegateCompatibility`, at 03a5e4e), from which the GPU delegate decides; of
its conditions on types and shapes those are kept that a network of this zoo can meet. The NNAPI table is
`NNAPIDelegateKernel::Validate` of `tensorflow/lite/delegates/nnapi/nnapi_delegate.cc`, at 002e5f4, for
Android 11 and later, likewise. Android 15 deprecates NNAPI; phones before it have it.
"""

from collections.abc import Callable, Iterable

from imgrec.export.inspect import Operator


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


GPU = _names(
    """
    ABS ADD ADD_N ATAN2 AVERAGE_POOL_2D BATCH_MATMUL CAST CEIL CONCATENATION CONV_2D COS CUMSUM DENSIFY
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP
    FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU
    LESS LESS_EQUAL LOG LOGICAL_AND LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG
    NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6
    RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN SLICE
    SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STABLEHLO_CLAMP STRIDED_SLICE
    SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV
    """
)

NNAPI = _names(
    """
    ABS ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_TO_SPACE_ND BIDIRECTIONAL_SEQUENCE_LSTM CAST
    CONCATENATION CONV_2D DENSIFY DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EMBEDDING_LOOKUP
    EQUAL EXP EXPAND_DIMS FILL FLOOR FULLY_CONNECTED GATHER GREATER GREATER_EQUAL HARD_SWISH
    HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOCAL_RESPONSE_NORMALIZATION
    LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX LSH_PROJECTION LSTM MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MUL NEG NOT_EQUAL PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_ANY REDUCE_MAX REDUCE_MIN
    REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RNN RSQRT SELECT
    SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SQRT SQUEEZE STRIDED_SLICE SUB SUM SVDF
    TANH TILE TOPK_V2 TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN
    """
)

_CASTS = {("bool", "float32"), ("float32", "bool"), ("int32", "float32"), ("float32", "int32")}


def _slices(operator: Operator) -> str:
    rank = len(operator.inputs[0].shape)
    return "" if rank in (3, 4) else f"{rank} dimensions"


def _casts(operator: Operator) -> str:
    kinds = operator.inputs[0].dtype, operator.outputs[0].dtype
    return "" if kinds in _CASTS or kinds[0] == kinds[1] else f"{kinds[0]} to {kinds[1]}"


def _multiplies(operator: Operator) -> str:
    first, second = (tensor.shape for tensor in operator.inputs[:2])
    if len(first) != len(second):
        return ""
    smaller = any(a < b for a, b in zip(first, second, strict=True))
    larger = any(a > b for a, b in zip(first, second, strict=True))
    return "each factor is repeated along some side" if smaller and larger else ""


def _dequantizes(operator: Operator) -> str:
    return "int16" if operator.inputs[0].dtype == "int16" else ""


GPU_REFUSES: dict[str, Callable[[Operator], str]] = {
    "CAST": _casts,
    "SLICE": _slices,
    "STRIDED_SLICE": _slices,
    "MUL": _multiplies,
    "DEQUANTIZE": _dequantizes,
}
"""Operator → why the GPU delegate does not take this one, empty where it does."""


def _rescales(operator: Operator) -> str:
    before, after = operator.inputs[0], operator.outputs[0]
    same = (before.scales, before.zero_points) == (after.scales, after.zero_points)
    return "" if same else "in another range than its input"


def _of_float(operator: Operator) -> str:
    kind = operator.inputs[0].dtype
    return "" if kind == "float32" else kind


def _joins(operator: Operator) -> str:
    rank = len(operator.inputs[0].shape)
    return "" if rank <= 4 else f"{rank} dimensions"


NNAPI_REFUSES: dict[str, Callable[[Operator], str]] = {
    "MEAN": _rescales,
    "CONCATENATION": _joins,
    "SUB": _joins,
    **dict.fromkeys(("ABS", "DIV", "ELU", "EXP", "LOG", "POW", "RSQRT", "SIN", "SQRT", "SUM"), _of_float),
}
"""The same of NNAPI."""


def unfriendly(operators: Iterable[Operator]) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many of which operators stay on the processor under the GPU delegate, and under NNAPI."""
    found = list(operators)
    return _left(found, GPU, GPU_REFUSES), _left(found, NNAPI, NNAPI_REFUSES)


def _left(
    operators: list[Operator], known: frozenset[str], refuses: dict[str, Callable[[Operator], str]]
) -> dict[str, int]:
    counted: dict[str, int] = {}
    for operator in operators:
        reason = refuses[operator.name](operator) if operator.name in refuses else ""
        if operator.name not in known or reason:
            name = f"{operator.name} ({reason})" if reason else operator.name
            counted[name] = counted.get(name, 0) + 1
    return counted
