"""What a search may change: a YAML file of ranges and choices over settings, by their flags' names."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgrec.config import Config
from imgrec.config.facts import names_that_may
from imgrec.config.renamed import OPTIONS
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.spec import Spec

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Scalar = bool | int | float | str
EXAMPLE = "such as learning_rate: {low: 0.01, high: 0.5, log: true} or optimizer: [sgd, adamw]"
SPECS = frozenset(OPTIONS.values())
"""Settings that are a name with options."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; evenly in the logarithm with `log`, or in `step`s."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether they are whole numbers."""
        return isinstance(self.low, int)

    def holds(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        steps = (value - self.low) / (self.step or (1 if self.whole else math.inf))
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-9

    def distribution(self) -> "BaseDistribution":
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def __str__(self) -> str:
        extra = ", log" if self.log else f", step {self.step:g}" if self.step else ""
        return f"{self.low:g} … {self.high:g}{extra}"


@dataclass(frozen=True)
class OneOf:
    """Some values, none nearer to one than to another."""

    choices: tuple[Scalar, ...]

    def holds(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        return any(type(value) is type(choice) and value == choice for choice in self.choices)

    def distribution(self) -> "BaseDistribution":
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)

    def __str__(self) -> str:
        return ", ".join(json.dumps(choice, ensure_ascii=False) for choice in self.choices)


@dataclass(frozen=True)
class Space:
    """What may change, by name: a setting's, or `model.width` for an option of the model."""

    entries: Mapping[str, Range | OneOf]

    def apply(self, config: Config, values: Mapping[str, Any]) -> Config:
        """Return `config` with the named settings and options changed."""
        changed = {name: value for name, value in values.items() if "." not in name}
        flat = config.flat()
        for name in (name for name in values if "." in name):
            setting, _, option = name.partition(".")
            spec = Spec.named(changed.get(setting, flat[setting]), setting)
            changed[setting] = str(Spec(spec.name, (), {**spec.options, option: values[name]}))
        return config.replace(**changed)

    def values(self, config: Config) -> dict[str, Scalar]:
        """Return what `config` has under the space's names: the setting that a search begins with.

        Raises:
            InputError: an option that `config` does not name, or a value outside the space.
        """
        flat = config.flat()
        return {name: self._begun(name, flat) for name in self.entries}

    def _begun(self, name: str, flat: Mapping[str, Any]) -> Scalar:
        """The value in `flat` of one of the space's names."""
        (setting, _, option), entry = name.partition("."), self.entries[name]
        flag, value, example = f"--{setting.replace('_', '-')}", flat[setting], str(_first(entry))
        if setting in SPECS:
            spec = Spec.named(value, flag)
            if option:
                example = f'"{Spec(spec.name, (), {**spec.options, option: _first(entry)})}"'
            if option and option not in spec.options:
                raise InputError(
                    f"space: {name}: the search begins with the setting that the flags describe: "
                    f"name the option there too, such as {flag} {example}"
                )
            own = {key: v for key, v in spec.options.items() if f"{setting}.{key}" not in self.entries}
            value = spec.options[option] if option else str(Spec(spec.name, (), own))
        if not entry.holds(value):
            raise InputError(
                f"space: {name}: {entry} does not hold {value!r}, the setting that the search begins "
                f"with: widen it, or begin elsewhere, such as {flag} {example}"
            )
        return value

    def record(self) -> dict[str, str]:
        """The space as text, for a page and to compare."""
        return {name: str(entry) for name, entry in self.entries.items()}


def _first(entry: Range | OneOf) -> Scalar:
    return entry.low if isinstance(entry, Range) else entry.choices[0]


def read_space(path: Path) -> Space:
    """Read a space from a YAML file: a mapping of settings to `{low, high, log, step}` or a list.

    Options are named behind what they are of: `model.width: [16, 32]`.

    Raises:
        InputError: no such file, no such setting, or no range or choice for it.
    """
    if not path.is_file():
        raise InputError(f"--space {path}: no such file; expected YAML, {EXAMPLE}")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--space {path}: not valid YAML: {error}") from None
    if not isinstance(tree, dict) or not tree:
        raise InputError(f"--space {path}: expected a mapping of settings, {EXAMPLE}")
    return parse_space(tree)


def parse_space(tree: Mapping[Any, Any]) -> Space:
    """Turn what YAML holds into a `Space`, every name and value checked against the settings.

    Raises:
        InputError: as `read_space`.
    """
    entries: dict[str, Range | OneOf] = {}
    flat = Config().flat()
    for key, value in tree.items():
        name = str(key).replace("-", "_")
        setting, _, option = name.partition(".")
        if setting in OPTIONS:
            inner = value if isinstance(value, Mapping) else {"OPTION": value}
            now = (f"{OPTIONS[setting]}.{key}: {json.dumps(part)}" for key, part in inner.items())
            raise InputError(f"space: {setting}: write {'; '.join(now)}")
        lookup(flat, setting, "setting of --space")
        default = Config().example(setting)
        if setting not in names_that_may(Config(), "tune"):
            raise InputError(f"space: {setting} is not searched over; give it as a flag")
        if option and setting not in SPECS:
            raise InputError(f"space: {name}: {setting} is no name with options")
        entries[name] = _entry(name, value, None if option else default)
    return Space(entries)


def _entry(name: str, value: Any, default: Any = None) -> Range | OneOf:
    """Read one range or list; `default` is the setting's own value, None for an option."""
    if isinstance(value, list):
        return _choices(name, value, default)
    if not isinstance(value, Mapping) or not {"low", "high"} <= set(value) <= {"low", "high", "log", "step"}:
        raise InputError(f"space: {name}: got {value!r}, expected low and high, {EXAMPLE}")
    if isinstance(default, (bool, str)):
        raise InputError(f"space: {name}: has no range; expected a list of choices, {EXAMPLE}")
    numbers = {part: number for part, number in value.items() if part != "log" and number is not None}
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers.values()):
        raise InputError(f"space: {name}: got {value!r}, expected numbers, {EXAMPLE}")
    broken = any(isinstance(number, float) for number in numbers.values())
    if isinstance(default, int) and broken:
        raise InputError(f"space: {name}: got {value!r}, expected whole numbers")
    if isinstance(default, float) or broken:
        numbers = {part: float(number) for part, number in numbers.items()}
    found = Range(numbers["low"], numbers["high"], bool(value.get("log")), numbers.get("step"))
    if not found.low < found.high or (found.step is not None and found.step <= 0):
        raise InputError(f"space: {name}: got {value!r}, expected low below high, and a step above 0")
    if found.log and (found.low <= 0 or found.step is not None):
        raise InputError(f"space: {name}: got {value!r}, expected with log a low above 0, and no step")
    return found


def _choices(name: str, values: list[Any], default: Any) -> OneOf:
    """Read a list of values; of a setting each is checked as the setting is."""
    if len(values) < 2 or not all(isinstance(choice, (bool, int, float, str)) for choice in values):
        raise InputError(f"space: {name}: got {values}, expected two values or more, {EXAMPLE}")
    if default is None:
        return OneOf(tuple(values))
    checked = (Config().replace(**{name: choice}).flat()[name] for choice in values)
    return OneOf(tuple(str(Spec.named(choice, name)) if name in SPECS else choice for choice in checked))


def default_space(config: Config) -> Space:
    """Return a space around `config` for those who name none: rate, decay, smoothing and augmentation."""
    flat = config.flat()
    rate, decay, smoothing = (flat[name] for name in ("learning_rate", "weight_decay", "label_smoothing"))
    entries: dict[str, Range | OneOf] = {"learning_rate": Range(rate / 10, rate * 10, log=True)}
    if decay > 0:
        entries["weight_decay"] = Range(decay / 10, decay * 10, log=True)
    entries["label_smoothing"] = Range(0.0, max(0.2, smoothing))
    if not flat["mask_loss"]:
        entries["erasing"] = Range(0.0, max(0.5, flat["erasing"]))
    line = "flip|trivialaugment" if flat["flip"] else "trivialaugment"
    lines = dict.fromkeys(["", line] if not flat["augment"] else [flat["augment"], line])
    if len(lines) > 1:
        entries["augment"] = OneOf(tuple(lines))
    if not flat["augment"] and flat["crop"] in ("auto", "none"):
        entries["crop"] = OneOf(("auto", "none"))
    return Space(entries)
