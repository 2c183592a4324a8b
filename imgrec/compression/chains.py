"""Concatenations of concatenations: one range for all of them."""

from dataclasses import dataclass

from imgrec.compression.operations import Op, Value
from imgrec.layers.fake_quant import ActivationRange


@dataclass(eq=False)
class Chain:
    """Concatenations that hand values on to each other, and so shall agree in one range.

    TFLite's CONCATENATION has one scale for inputs and output. With a range each, a network like
    DenseNet would round its first maps again at every layer, and spend a pass over them all to do it.

    `members` counts the tensors that join from outside, `joined` those that have.
    """

    members: int
    range: ActivationRange | None = None
    joined: int = 0


def concat_chains(found: list[Op]) -> dict[int, Chain]:
    """Return for the id of each concatenation that is linked with another the chain they share.

    Linked means: the output of one is an input of the other, directly or by way of operations that
    only move or pick values. A concatenation of parts of one tensor, such as a roll, moves values too.

    Args:
        found: operations in order.
    """
    root: dict[int, int] = {}  # id of a moved value → id of the one whose numbers it holds
    maker: dict[int, int] = {}  # id of a concatenation's output → its id
    group: dict[int, set[int]] = {}
    members: dict[int, int] = {}

    def at(value: Value) -> int:
        return root.get(id(value), id(value))

    for op in found:
        sources = {at(value) for value in op.inputs}
        if op.kind == "same" or (op.kind == "concat" and len(sources) == 1):
            root.update({id(value): at(op.inputs[0]) for value in op.outputs})
        elif op.kind == "concat":
            group[id(op)] = {id(op)}
            for earlier in {maker[source] for source in sources if source in maker}:
                merged = group[id(op)] | group[earlier]
                group.update(dict.fromkeys(merged, merged))
            members[id(op)] = sum(at(value) not in maker for value in op.inputs)
            maker[id(op.outputs[0])] = id(op)
    chains: dict[int, Chain] = {}
    for linked in group.values():
        if len(linked) > 1 and not linked & chains.keys():
            chains.update(dict.fromkeys(linked, Chain(sum(members[one] for one in linked))))
    return chains
