"""One notation for a name with options: `focal(gamma=2)`, `resnet20(width=48)`, `flip|crop(pad=4)`.

Values are numbers, `true`, `false`, `null`, words (`semi_hard`, `runs/a`), quoted texts, sequences
(`at=[30, 60]`), and such names with brackets again (`distill(teacher=resnet20(width=48))`). Nothing is
evaluated.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias, Union

from imgrec.errors import InputError

Value: TypeAlias = Union[bool, int, float, str, tuple["Value", ...], "Spec", None]

LONGEST, DEEPEST = 2000, 10
"""Characters of a text, and brackets within brackets, at most."""
_NAME = r"[^\W\d][\w.-]*"
_WORD = r"""[^\s()\[\],|='"]+"""
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


@dataclass(frozen=True, repr=False)
class Spec:
    """A name, the values that follow it by their order, and those that follow by a name of their own."""

    name: str
    args: tuple[Value, ...] = ()
    options: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, what: str = "option") -> "Spec":
        """Read one name with its options; `what` (such as `--loss`) names the text in messages.

        Raises:
            InputError: the text is no such notation; the message shows where it ends to be.
        """
        specs = parse_line(text, what)
        if len(specs) > 1:
            raise InputError(f"{what} {text[:80]!r}: expected one name, got {len(specs)} joined by |")
        return specs[0]

    @classmethod
    def named(cls, text: str, what: str = "option") -> "Spec":
        """As `parse`, for what takes no values by their order alone."""
        spec = cls.parse(text, what)
        if spec.args:
            raise InputError(f"{what} {text[:80]!r}: got {_shown(spec.args[0])}, expected name=value")
        return spec

    def __str__(self) -> str:
        """The canonical text, which `parse` reads back to an equal `Spec`."""
        return _shown(self).removesuffix("()")

    __repr__ = __str__


def parse_line(text: str, what: str = "option") -> tuple[Spec, ...]:
    """Read names with options, joined by `|`, such as `flip|crop(28, pad=4)`; as `Spec.parse`."""
    reader = _Reader(text, what)
    if len(text) > LONGEST:
        reader.fail(f"{LONGEST} characters at most")
    specs = [reader.spec()]
    while reader.take(r"\|"):
        specs.append(reader.spec())
    if reader.take(r"\Z") is None:
        reader.fail("an opening bracket, | or the end")
    return tuple(specs)


class _Reader:
    """What is left to read of a text."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what, self.at = text, what, 0

    def take(self, pattern: str) -> str | None:
        """Step over what matches here, and spaces before it; None where nothing does."""
        match = re.compile(rf"\s*({pattern})", re.DOTALL).match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[1]

    def fail(self, expected: str) -> NoReturn:
        """Say what should stand here."""
        rest = self.text[self.at :].strip()[:20]
        where = repr(rest) if rest else "its end"
        raise InputError(
            f"{self.what} {self.text[:80]!r}: cannot be read at {where}: expected {expected}, as in "
            "resnet20(width=48) or flip|crop(pad=4)"
        )

    def spec(self, depth: int = 0) -> Spec:
        """Read a name and the brackets after it, if there are any."""
        name = self.take(_NAME) or self.fail("a name")
        args: list[Value] = []
        options: dict[str, Value] = {}
        for key, value in self.items(r"\)", depth) if self.take(r"\(") else ():
            if key in options:
                raise InputError(f"{self.what} {self.text[:80]!r}: {name} is given {key} twice")
            if key:
                options[key] = value
            elif options:
                self.fail("name=value after name=value")
            else:
                args.append(value)
        return Spec(name, tuple(args), options)

    def items(self, closing: str, depth: int) -> Iterator[tuple[str, Value]]:
        """Read values up to `closing`, each with the name before its `=` (dashes as underscores), or ''."""
        while not self.take(closing):
            key = self.take(rf"{_NAME}(?=\s*=)")
            if key:
                self.take("=")
            yield (key or "").replace("-", "_"), self.value(depth + 1)
            if self.take(rf",|(?={closing})") is None:
                self.fail("a comma or a closing bracket")

    def value(self, depth: int) -> Value:
        """Read one value."""
        if depth > DEEPEST:
            self.fail(f"{DEEPEST} brackets within each other at most")
        if bracket := self.take(r"[\[(]"):
            items = list(self.items(r"\]" if bracket == "[" else r"\)", depth))
            if any(key for key, _ in items):
                self.fail("values without names in a sequence")
            return tuple(value for _, value in items)
        if quoted := self.take(_QUOTED):
            return re.sub(r"\\(['\"\\])", r"\1", quoted[1:-1])
        if self.take(rf"(?={_NAME}\s*\()") is not None:
            return self.spec(depth)
        word = self.take(_WORD) or self.fail("a value")
        value = _scalar(word)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{self.what} {self.text[:80]!r}: {word}: expected a number below 1.8e308")
        return value


def _scalar(word: str) -> Value:
    """What a bare word stands for."""
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if re.fullmatch(r"[+-]?\d+", word):
        return int(word)
    return float(word) if re.fullmatch(_NUMBER, word) else word


def _shown(value: Value) -> str:
    """Return the text that is read back as `value`."""
    if isinstance(value, Spec):
        pairs = [f"{key}={_shown(item)}" for key, item in value.options.items()]
        return f"{value.name}({', '.join([*map(_shown, value.args), *pairs])})"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_shown, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if re.fullmatch(_WORD, value) and isinstance(_scalar(value), str):
        return value
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"


def number_option(name: str, value: object, low: float, high: float | None = None) -> float:
    """Return `value` as a float.

    Raises:
        InputError: it is no number from `low` to `high` (None: without an end).
    """
    limit = float("inf") if high is None else high
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= limit:
        expected = f"{low:g} or more" if high is None else f"a number from {low:g} to {high:g}"
        raise InputError(f"{name}={value!r}: expected {expected}")
    return float(value)


def whole_option(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` of an option called `name`, a whole number from `low` on, to `high` where there is one.

    Raises:
        InputError: it is none.
    """
    if type(value) is not int or value < low or (high is not None and value > high):
        upto = "" if high is None else f" to {high}"
        raise InputError(f"{name}={value}: expected a whole number from {low}{upto or ' on'}")
    return value
