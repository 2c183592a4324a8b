"""Primitive operations as a functional model of quantisation-aware layers.

Ranges stand where TFLite has tensors: after a convolution or dense layer, addition or product with the
ReLU that follows fused into it; after means, concatenations and matrix products; on the input. What
only moves or picks values keeps the range of its input.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from imgrec.compression.chains import Chain, concat_chains
from imgrec.compression.fold import count_readers
from imgrec.compression.operations import Op, Value
from imgrec.compression.pixels import pixel_range
from imgrec.compression.scheme import Scheme
from imgrec.layers import quantized as quantized_layers
from imgrec.layers.fake_quant import ActivationRange
from imgrec.layers.learned_step import LearnedStep
from imgrec.layers.rounded_kernel import FLOAT, RoundsKernel

FUSED_WITH_RELU = (
    *("conv", "depthwise", "dense", "affine", "add", "multiply"),
    *("add_weight", "multiply_weight", "add_constant"),
)
# TFLite fixes the output ranges of these: scale 1/256 from 0, and 1/128 from -1.
FIXED_CURVES = {"sigmoid": (0.0, 255 / 256), "softmax": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)}
WHOLE_16 = 32767 / 32768  # and of their 16-bit forms: scale 1/32768 about zero
PIXELS = (0.0, 255.0)


def build(found: list[Op], source: Value, output: Value, name: str, scheme: Scheme) -> keras.Model:
    """Return the model that computes `output` from `source` rounded as `scheme` says, weights set."""
    builder = _Builder(found, output, scheme)
    image = keras.Input(source.shape[1:], batch_size=source.shape[0], dtype="float32", name=source.name)
    builder.start(source, image)
    for op in found:
        builder.add(op)
    model = keras.Model(image, builder.tensor(output), name=name)
    for layer, values in builder.weights:
        layer.set_weights(values)
    return model


@dataclass
class _Slot:
    """A value in the new graph, and the range that it is rounded to, if it is."""

    tensor: Any
    range: ActivationRange | None
    name: str
    like: Any = None  # for zeros: the tensor whose shape they have


class _Builder:
    def __init__(self, found: list[Op], output: Value, scheme: Scheme) -> None:
        self.scheme = scheme
        self.readers = count_readers(found, output)
        self.chains = concat_chains(found)
        self.slots: dict[int, _Slot] = {}
        self.weights: list[tuple[keras.Layer, list[Any]]] = []
        self.shared: dict[int, keras.Layer] = {}  # a layer called twice stays one layer

    def start(self, source: Value, image: Any) -> None:
        self.slots[id(source)] = _Slot(image, None, source.name)
        self._round(self.slots[id(source)], *PIXELS)

    def tensor(self, value: Value) -> Any:
        return self.slots[id(value)].tensor

    def rounded(self, value: Value) -> Any:
        """The tensor of `value` in int8; a float one gets a range now."""
        slot = self.slots[id(value)]
        if slot.range is None:
            self._round(slot)
        return slot.tensor

    def _round(self, slot: _Slot, low: float | None = None, high: float | None = None) -> None:
        slot.range = self._range(low, high, name=f"{slot.name}_range")
        slot.tensor = slot.range(slot.tensor)

    def _range(self, low: float | None = None, high: float | None = None, **more: Any) -> ActivationRange:
        learns = "activations" in self.scheme.learned and high is None
        kind = LearnedStep if learns else ActivationRange
        return kind(low, high, observer=self.scheme.observer, bits=self.scheme.activations, **more)

    def _is_float(self, op: Op) -> bool:
        return op.name in self.scheme.left_float

    def _read(self, op: Op) -> list[Any]:
        """The tensors that `op` reads: rounded, unless it stays float32, which takes them as they are."""
        return [self.tensor(v) if self._is_float(op) else self.rounded(v) for v in op.inputs]

    def add(self, op: Op) -> None:
        """Append `op`, and the range of its output where it has one of its own."""
        method: Callable[[Op], None] = getattr(self, f"_add_{op.kind}", self._add_arithmetic)
        method(op)

    def _finish(self, op: Op, tensor: Any, low: float | None = None, high: float | None = None) -> None:
        slot = self.slots[id(op.outputs[0])] = _Slot(tensor, None, op.name)
        reader = self._only_reader(op.outputs[0])
        fused = reader == "relu" and op.kind in FUSED_WITH_RELU and self._alike(op)
        # A concatenation's inputs are rounded once, in its output's range: TFLite has one scale for all,
        # and where inputs bring ranges of their own the converter may take one of those.
        # Between two float32 parts nothing is rounded; a reader that is int8 asks for its input to be.
        if not fused and not (reader == "concat" and high is None) and not self._is_float(op):
            self._round(slot, low, high)

    def _alike(self, op: Op) -> bool:
        """Whether all that read what `op` makes are float32 where it is, and int8 where it is."""
        readers = self.readers.get(id(op.outputs[0]), [])
        return all(reader is not None and self._is_float(reader) == self._is_float(op) for reader in readers)

    def _only_reader(self, value: Value) -> str:
        """The kind of the one operation that reads `value`; empty where there are more, or the output."""
        readers = self.readers.get(id(value), [])
        return readers[0].kind if len(readers) == 1 and readers[0] is not None else ""

    def _weighted(self, op: Op, kind: type[RoundsKernel]) -> None:
        assert op.step is not None
        layer: Any = self.shared.get(id(op.step.operation))
        once = layer is None
        if once:
            config = {**op.options["config"], "name": op.name, "dtype": "float32", "activation": None}
            config |= {"use_bias": True, "kernel_initializer": "zeros", "depthwise_initializer": "zeros"}
            unknown = "kernel_initializer" if op.kind == "depthwise" else "depthwise_initializer"
            config.pop(unknown)
            config["bits"] = FLOAT if self._is_float(op) else self.scheme.weights
            config["learned"] = "weights" in self.scheme.learned
            layer = self.shared[id(op.step.operation)] = kind.from_config(config)
            self.weights.append((layer, layer.starting_weights(op.options["kernel"], op.options["bias"])))
        tensors = self._read(op)
        source = None if self._is_float(op) else self.slots[id(op.inputs[0])].range
        # Called twice, it has two biases in the file, in steps of their own.
        layer.reads(source if once else None)
        self._finish(op, layer(*tensors))

    def _add_conv(self, op: Op) -> None:
        self._weighted(op, quantized_layers.QuantizedConv2D)

    def _add_depthwise(self, op: Op) -> None:
        self._weighted(op, quantized_layers.QuantizedDepthwiseConv2D)

    def _add_dense(self, op: Op) -> None:
        self._weighted(op, quantized_layers.QuantizedDense)

    def _add_affine(self, op: Op) -> None:
        scale, offset = op.options["scale"], op.options["offset"]
        pixels = bool(op.options.get("pixels"))
        layer = quantized_layers.ChannelAffine(self._is_float(op), name=op.name, trainable=not pixels)
        self.weights.append((layer, [scale, offset]))
        ends = pixel_range(scale, offset) if pixels else (None, None)
        tensors = self._read(op)
        layer.reads(None if self._is_float(op) else self.slots[id(op.inputs[0])].range)
        self._finish(op, layer(*tensors), *ends)

    def _add_relu(self, op: Op) -> None:
        layer = keras.layers.ReLU(max_value=op.options["ceiling"], name=op.name, dtype="float32")
        # Read before rounding: the range of the fused pair is the ReLU's.
        self._finish(op, layer(self.tensor(op.inputs[0])), 0.0, op.options.get("top"))

    def _add_curve(self, op: Op) -> None:
        function = op.options["function"]
        layer: keras.Layer
        if function == "softmax":
            layer = keras.layers.Softmax(name=op.name, dtype="float32")
        elif function == "gelu_tanh":
            layer = quantized_layers.TanhGelu(name=op.name)
        elif function == "leaky_relu":
            layer = keras.layers.LeakyReLU(op.options["slope"], name=op.name, dtype="float32")
        else:
            layer = keras.layers.Activation(function, name=op.name, dtype="float32")
        ends = FIXED_CURVES.get(function, (None, None))
        if self.scheme.activations == 16 and ends[1] is not None:
            ends = (-WHOLE_16, WHOLE_16)
        self._finish(op, layer(*self._read(op)), *ends)

    def _add_matmul(self, op: Op) -> None:
        if not self._is_float(op):
            return self._add_arithmetic(op)
        layer = quantized_layers.FloatMatmul(name=op.name)
        return self._finish(op, layer(*self._read(op)))

    def _add_add(self, op: Op) -> None:
        merge = keras.layers.Add(name=op.name, dtype="float32")
        self._finish(op, merge(self._read(op)))

    def _add_multiply(self, op: Op) -> None:
        merge = keras.layers.Multiply(name=op.name, dtype="float32")
        self._finish(op, merge(self._read(op)))

    def _with_weight(self, op: Op, kind: type[keras.Layer]) -> None:
        weight = op.options["weight"]
        layer = kind(shape=weight.shape, name=op.name, trainable=op.options["trainable"])
        self.weights.append((layer, [weight]))
        like = self.slots[id(op.inputs[0])].like
        self._finish(op, layer(self._read(op)[0] if like is None else like))

    def _add_add_weight(self, op: Op) -> None:
        token = self.slots[id(op.inputs[0])].like is not None
        self._with_weight(op, quantized_layers.Token if token else quantized_layers.AddWeight)

    def _add_multiply_weight(self, op: Op) -> None:
        self._with_weight(op, quantized_layers.MultiplyWeight)

    def _add_add_constant(self, op: Op) -> None:
        layer = quantized_layers.AddConstant(op.options["value"], name=op.name)
        self._finish(op, layer(*self._read(op)))

    def _add_multiply_constant(self, op: Op) -> None:
        layer = quantized_layers.MultiplyConstant(op.options["value"], name=op.name)
        self._finish(op, layer(*self._read(op)), *op.options.get("range", (None, None)))

    def _add_layer_norm(self, op: Op) -> None:
        config = {**op.options["config"], "name": op.name, "dtype": "float32"}
        layer = quantized_layers.FloatLayerNormalization.from_config(config)
        self.weights.append((layer, op.options["weights"]))
        tensor = layer(self.tensor(op.inputs[0]))
        # Float in the file; rounded only where an int8 operation reads it.
        self.slots[id(op.outputs[0])] = _Slot(tensor, None, op.name)

    def _add_float(self, op: Op) -> None:
        for value in op.inputs:
            self.rounded(value)
        # Float in the file, as a layer normalisation is.
        self.slots[id(op.outputs[0])] = _Slot(self._again(op), None, op.name)

    def _add_arithmetic(self, op: Op) -> None:
        """`mean`, `matmul`: the operation itself on int8 inputs, and a range of its own."""
        self._read(op)
        self._finish(op, self._again(op))

    def _add_concat(self, op: Op) -> None:
        before = self.slots[id(op.inputs[0])].range
        chain = self.chains.get(id(op))
        if chain is not None and not self._is_float(op):
            self._add_to_chain(op, chain)
        elif before is not None and all(self.slots[id(v)].range is before for v in op.inputs):
            self._add_same(op)
        else:
            self._finish(op, self._again(op))

    def _add_to_chain(self, op: Op, chain: Chain) -> None:
        if chain.range is None:
            chain.range = self._range(members=chain.members, name=f"{op.name}_range")
        joined = {}
        for value in op.inputs:
            if self.slots[id(value)].range is not chain.range:
                joined[id(value)] = chain.range(self.tensor(value), member=chain.joined)
                chain.joined += 1
        tensor = chain.range(self._again(op, joined), averaged=True)
        self.slots[id(op.outputs[0])] = _Slot(tensor, chain.range, op.name)

    def _add_zeros(self, op: Op) -> None:
        slot = _Slot(self._again(op), None, op.name, like=self.tensor(op.inputs[0]))
        self.slots[id(op.outputs[0])] = slot

    def _add_same(self, op: Op) -> None:
        if self.slots[id(op.inputs[0])].like is None:
            self._read(op)  # rounded before it moves: int8 is a quarter of the bytes
        before = self.slots[id(op.inputs[0])].range
        outputs = keras.tree.flatten(self._again(op))
        for value, tensor in zip(op.outputs, outputs, strict=True):
            self.slots[id(value)] = _Slot(tensor, before, op.name)

    def _add_average_pool(self, op: Op) -> None:
        self._read(op)
        before, tensor = self.slots[id(op.inputs[0])].range, self._again(op)
        if self._is_float(op):
            before = None
        elif before is not None:
            # TFLite's average pooling keeps its input's scale, so its output is rounded in that range.
            tensor = before(tensor, averaged=True)
        self.slots[id(op.outputs[0])] = _Slot(tensor, before, op.name)

    def _again(self, op: Op, replaced: dict[int, Any] | None = None) -> Any:
        """Call a copy of the source's own layer or operation on the new tensors, or on `replaced` ones."""
        replaced = replaced or {}
        assert op.step is not None
        step = op.step
        args, kwargs = keras.tree.map_structure(
            lambda v: replaced.get(id(v), self.tensor(v)) if isinstance(v, keras.KerasTensor) else v,
            (step.args, step.kwargs),
        )
        kwargs.pop("training", None)
        if isinstance(step.operation, keras.Layer):
            config = {**step.operation.get_config(), "name": op.name, "dtype": "float32"}
            layer = type(step.operation).from_config(config)
            if step.operation.weights:  # fitted, and no matter of training
                self.weights.append((layer, step.operation.get_weights()))
            return layer(*args, **kwargs)
        operation = copy.copy(step.operation)
        operation._inbound_nodes, operation._outbound_nodes = [], []
        operation.name = op.name
        return operation(*args, **kwargs)
