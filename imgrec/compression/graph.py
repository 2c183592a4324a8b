"""A functional model as a flat, ordered list of primitive steps: composites unfolded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from imgrec.layers.composite import Composite


@dataclass(eq=False)
class Step:
    """One call of one primitive layer or operation.

    `args` and `kwargs` are as the call received them, `inputs` and `outputs` the `KerasTensor`s among
    them and those that it returned.
    """

    name: str
    operation: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]


@dataclass(eq=False)
class Graph:
    """A model's steps in the order of computation, with its input and output tensors."""

    input: keras.KerasTensor
    output: keras.KerasTensor
    steps: list[Step]


def expand(model: keras.Model) -> Graph:
    """Return `model` as a graph of primitive steps that share its layers and weights.

    Every `Composite` is replaced by what its `call` records on symbolic tensors, recursively; the
    model itself stays as it is. A step unfolded from a composite is named `composite_sublayer`.

    Args:
        model: functional, one input and one output.
    """
    expander = _Expander()
    (source,), (output,) = model.inputs, model.outputs
    steps = list(expander.steps([source], [output], prefix=""))
    for step in steps:
        step.args, step.kwargs = keras.tree.map_structure(expander.resolve, (step.args, step.kwargs))
        step.inputs = [t for t in keras.tree.flatten((step.args, step.kwargs)) if _symbolic(t)]
    return Graph(source, expander.resolve(output), steps)


class _Expander:
    """Walks a graph; keeps which unfolded tensor stands for a composite's output, and names unique."""

    def __init__(self) -> None:
        self.stands_for: dict[int, keras.KerasTensor] = {}
        self.keep: list[Any] = []  # ids in `stands_for` stay valid only while their tensors live
        self.names: dict[str, int] = {}

    def resolve(self, value: Any) -> Any:
        while _symbolic(value) and id(value) in self.stands_for:
            value = self.stands_for[id(value)]
        return value

    def steps(self, inputs: list[Any], outputs: list[Any], prefix: str) -> Iterator[Step]:
        for node in _ordered_nodes(inputs, outputs):
            operation, arguments = node.operation, node.arguments
            if isinstance(operation, keras.layers.InputLayer):
                continue
            if not isinstance(operation, Composite):
                name = self._name(operation, prefix)
                yield Step(name, operation, arguments.args, arguments.kwargs, [], list(node.outputs))
                continue
            unfolded = keras.tree.flatten(operation.call(*arguments.args, **arguments.kwargs))
            self.keep += [*node.outputs, *unfolded]
            self.stands_for.update({id(o): u for o, u in zip(node.outputs, unfolded, strict=True)})
            yield from self.steps(node.input_tensors, unfolded, f"{prefix}{operation.name}_")

    def _name(self, operation: keras.Operation, prefix: str) -> str:
        # An operation's automatic name counts over the whole process; ours depends on the model alone.
        own = operation.name if isinstance(operation, keras.Layer) else type(operation).__name__.lower()
        name = prefix + own
        count = self.names[name] = self.names.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"


def _symbolic(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def _ordered_nodes(inputs: list[Any], outputs: list[Any]) -> list[Any]:
    """Every node between `inputs` and `outputs`, each after the nodes it reads from."""
    known = {id(tensor) for tensor in inputs}
    seen: set[int] = set()
    ordered: list[Any] = []
    stack = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, ready = stack.pop()
        if id(tensor) in known:
            continue
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if ready:
            if id(node) not in seen:
                seen.add(id(node))
                ordered.append(node)
        elif id(node) not in seen:
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in reversed(node.input_tensors))
    return ordered
