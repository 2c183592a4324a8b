"""How a model is rounded: what the options of `ptq` and `qat` say, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from imgrec.errors import InputError
from imgrec.layers.observers import read_observer
from imgrec.spec import Value

LEARNS = {
    False: (),
    True: ("activations", "weights"),
    "activations": ("activations",),
    "weights": ("weights",),
}
"""Values of the option `lsq` → what learns its step size."""


@dataclass(frozen=True)
class Scheme:
    """The rounding of a whole model.

    observer: how calibration images give ranges, a name in `OBSERVERS` with its options.
    weights: bits of kernels, 8 or 4.
    activations: bits of activations, 8 or 16.
    learned: what learns its step size: `activations`, `weights`.
    left_float: names of the operations that stay float32.
    """

    observer: str = "mean"
    weights: int = 8
    activations: int = 8
    learned: tuple[str, ...] = ()
    left_float: frozenset[str] = field(default=frozenset())


def scheme(
    observer: Value = "mean", activations: Value = 8, lsq: Value = False, weights: Value = 8
) -> Scheme:
    """Return what the options ask for; `left_float` is for `floating.resolve` to say.

    Raises:
        InputError: a value that is none of the option's.
    """
    read_observer(observer)
    for name, value, known in (("weights", weights, (4, 8)), ("activations", activations, (8, 16))):
        if value not in known or isinstance(value, bool):
            raise InputError(f"{name}={value}: expected {known[0]} or {known[1]} bits")
    if not isinstance(lsq, (bool, str)) or lsq not in LEARNS:
        raise InputError(f"lsq={lsq}: expected true, false, activations or weights")
    learned = LEARNS[lsq]
    if activations == 16 and "activations" in learned:
        raise InputError("lsq learns steps of 8 bits: leave out activations=16, or take lsq=weights")
    return Scheme(str(observer), int(str(weights)), int(str(activations)), learned)


def names(parts: Value | Sequence[str]) -> tuple[str, ...]:
    """Return the option `float` as names: one, or several in brackets.

    Raises:
        InputError: something else.
    """
    found = (parts,) if isinstance(parts, str) else parts
    if not isinstance(found, (tuple, list)) or not all(isinstance(name, str) for name in found):
        raise InputError(
            f"float={parts}: expected names of layers or endpoints, such as float=[stem, logits]"
        )
    return tuple(str(name) for name in found)
