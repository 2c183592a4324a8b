"""Batch normalisation folded into the layer before it, as TFLite's kernels want it."""

import keras

from imgrec.compression.operations import Op


def fold(found: list[Op], output: keras.KerasTensor) -> tuple[list[Op], keras.KerasTensor]:
    """Drop operations that do nothing, and fold each normalisation into its convolution or dense layer.

    With the moving statistics, `γ (W x + b - μ) / σ + β` is a convolution with kernel `W γ / σ` and bias
    `(b - μ) γ / σ + β`. Folded where the normalisation is the only reader of a layer that is called
    once; elsewhere it stays a factor and an offset for each channel.

    Args:
        found: operations in order, as `lower` returns them; changed in place.
        output: the model's output value.

    Returns:
        The remaining operations, and the output value among them.
    """
    found, output = _without_identities(found, output)
    readers = count_readers(found, output)
    calls: dict[int, int] = {}
    for op in found:
        if op.step is not None:
            calls[id(op.step.operation)] = calls.get(id(op.step.operation), 0) + 1
    maker = {id(value): op for op in found for value in op.outputs}
    kept: list[Op] = []
    for op in found:
        before = maker.get(id(op.inputs[0])) if op.inputs else None
        if _foldable(op, before, readers, calls) and before is not None:
            _absorb(before, op)
            maker[id(op.outputs[0])] = before
        else:
            kept.append(op)
    return kept, output


def count_readers(found: list[Op], output: keras.KerasTensor) -> dict[int, list[Op | None]]:
    """For each value's id the operations that read it; None stands for the model's output."""
    readers: dict[int, list[Op | None]] = {id(output): [None]}
    for op in found:
        for value in op.inputs:
            readers.setdefault(id(value), []).append(op)
    return readers


def _foldable(op: Op, before: Op | None, readers: dict[int, list[Op | None]], calls: dict[int, int]) -> bool:
    return (
        op.kind == "affine"
        and not op.options.get("pixels")
        and before is not None
        and before.kind in ("conv", "depthwise", "dense")
        and before.step is not None
        and calls[id(before.step.operation)] == 1
        and len(readers[id(op.inputs[0])]) == 1
    )


def _absorb(layer: Op, affine: Op) -> None:
    scale, offset = affine.options["scale"], affine.options["offset"]
    kernel = layer.options["kernel"]
    by_channel = scale.reshape(1, 1, *kernel.shape[2:]) if layer.kind == "depthwise" else scale
    layer.options["kernel"] = kernel * by_channel
    layer.options["bias"] = layer.options["bias"] * scale + offset
    layer.outputs = affine.outputs


def _without_identities(found: list[Op], output: keras.KerasTensor) -> tuple[list[Op], keras.KerasTensor]:
    source = {id(op.outputs[0]): op.inputs[0] for op in found if op.kind == "identity"}

    def resolve(value: keras.KerasTensor) -> keras.KerasTensor:
        while id(value) in source:
            value = source[id(value)]
        return value

    kept = [op for op in found if op.kind != "identity"]
    for op in kept:
        op.inputs = [resolve(value) for value in op.inputs]
        if op.step is not None:
            step = op.step
            step.args, step.kwargs = keras.tree.map_structure(
                lambda v: resolve(v) if isinstance(v, keras.KerasTensor) else v, (step.args, step.kwargs)
            )
    return kept, resolve(output)
