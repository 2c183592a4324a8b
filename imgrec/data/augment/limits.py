"""Which values the arguments of augmentation operations may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgrec.data.augment.policies import POLICIES
from imgrec.errors import InputError


@dataclass(frozen=True)
class Limit:
    """Numbers from `low` to `high`; `kind` is int, float or tuple (a pair, ascending); or one of `words`."""

    kind: type
    low: float = 0.0
    high: float = float("inf")
    words: tuple[str, ...] = ()

    def allows(self, value: Any) -> bool:
        """Whether `value` is of the kind and within the limits."""
        if isinstance(value, str):
            return value in self.words
        if self.kind is tuple:
            pair = isinstance(value, (tuple, list)) and len(value) == 2
            return pair and all(self._number(v, float) for v in value) and value[0] <= value[1]
        return self._number(value, self.kind)

    def _number(self, value: Any, kind: type) -> bool:
        right = isinstance(value, int) or (kind is float and isinstance(value, float))
        return right and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.kind is str:
            return " or ".join(self.words)
        what = {int: "a whole number", float: "a number", tuple: "an ascending pair of numbers"}[self.kind]
        below = "" if self.high == float("inf") else f" to {self.high:g}"
        return " or ".join([f"{what} from {self.low:g}{below}", *self.words])


_SHARE, _AMOUNT = Limit(float, 0, 1), Limit(float, 0, 10)
# By the argument's name, or by operation and argument where the name alone does not tell.
LIMITS = {
    "p": _SHARE,
    "pad": Limit(int, 0, 4096),
    "border": Limit(int, 0, 255, ("reflect",)),
    "fill": Limit(int, 0, 255),
    "scale": Limit(tuple, 1e-4, 1),
    "area": Limit(tuple, 0, 1),
    "ratio": Limit(tuple, 1e-2, 1e2),
    "degrees": Limit(float, 0, 180),
    "shear.degrees": Limit(float, 0, 80),
    "share": _SHARE,
    "low": Limit(float, 0.05, 20),
    "high": Limit(float, 0.05, 20),
    "brightness": _AMOUNT,
    "contrast": _AMOUNT,
    "saturation": _AMOUNT,
    "amount": _AMOUNT,
    "hue": Limit(float, 0, 0.5),
    "hue.amount": Limit(float, 0, 0.5),
    "sigma": Limit(float, 0, 255),
    "elastic.sigma": Limit(float, 0.5, 100),
    "alpha": Limit(float, 0.01, 1e4),
    "n": Limit(int, 0, 20),
    "m": Limit(int, 0, 1000),
    "bins": Limit(int, 2, 1001),
    "policy": Limit(str, words=tuple(POLICIES)),
    "severity": Limit(int, 1, 10),
    "width": Limit(int, 1, 20),
    "depth": Limit(int, -1, 20),
}


def checked(operation: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that were `given` (name → value), pairs as tuples.

    Raises:
        InputError: a value that the operation cannot take, alone or beside the others or their `defaults`;
            the message says which ones it can.
    """
    found = {}
    for name, value in given.items():
        if name == "size":
            found[name] = _size(operation, value)
            continue
        limit = LIMITS.get(f"{operation}.{name}") or LIMITS[name]
        if not limit.allows(value):
            raise InputError(f"augment: {operation}({name}={value!r}): expected {limit}")
        found[name] = tuple(value) if isinstance(value, list) else value
    together = {**defaults, **found}
    if "low" in together and together["low"] > together["high"]:
        raise InputError(f"augment: {operation}: low {together['low']:g} is above high {together['high']:g}")
    if "m" in together and together["m"] >= together["bins"]:
        raise InputError(f"augment: {operation}: magnitude {together['m']} needs more than that many bins")
    return found


def _size(operation: str, value: Any) -> int | tuple[int, int]:
    sides = list(value) if isinstance(value, (tuple, list)) and len(value) == 2 else [value]
    if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise InputError(f"augment: {operation}(size={value!r}): expected pixels, or height and width")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])
