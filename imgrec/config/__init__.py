"""Every setting of a run: one tree of frozen dataclasses, filled by defaults, a recipe, then flags.

Imports neither TensorFlow nor Keras, so that `--help` answers at once. The flat flag of a field is
its name with dashes (`image_size` → `--image-size`); field names are unique over the whole tree. The
sections, with every field, stand in `settings.py`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from imgrec.config.calibration import CalibrationConfig
from imgrec.config.renamed import refuse_key
from imgrec.config.settings import (
    AugmentConfig,
    Choice,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    QuantizeConfig,
    RunConfig,
    TransferConfig,
)
from imgrec.config.unknown import UnknownConfig
from imgrec.errors import InputError
from imgrec.registry import lookup


@dataclass(frozen=True)
class Config:
    """One run. `Config()` is the default; a recipe or a flag is a difference to it."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    unknown: UnknownConfig = field(default_factory=UnknownConfig)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    run: RunConfig = field(default_factory=RunConfig)

    @property
    def split_seed(self) -> int:
        """The seed by which splits and folds are made."""
        return self.run.seed if self.data.split_seed < 0 else self.data.split_seed

    def flat(self) -> dict[str, Any]:
        """Return every field by its flag name, sections in order: `{"data": "sample", …}`."""
        return {key: value for section in dataclasses.asdict(self).values() for key, value in section.items()}

    def replace(self, **values: Any) -> "Config":
        """Return a copy with the named fields changed, whatever section they stand in.

        Raises:
            InputError: a name is no field, or no longer, or a value is not of the field's type.
        """
        sections = {s.name: getattr(self, s.name) for s in dataclasses.fields(self)}
        home = {f.name: s for s, section in sections.items() for f in dataclasses.fields(section)}
        for name, value in values.items():
            refuse_key(name, value, {**self.flat(), **values})
            place = lookup(home, name, "setting")
            section = sections[place]
            changed = {name: _typed(name, get_type_hints(type(section))[name], getattr(section, name), value)}
            sections[place] = dataclasses.replace(section, **changed)
        return Config(**sections)

    def example(self, name: str) -> Any:
        """Return a value of the field's kind: its default, or 0 or 0.0 for a number left to `auto`."""
        value = self.flat()[name]
        section = next(s for s in vars(self).values() if hasattr(s, name))
        kinds = get_args(get_type_hints(type(section))[name])
        return next((kind() for kind in (int, float) if value == "auto" and kind in kinds), value)

    def tree(self) -> dict[str, dict[str, Any]]:
        """Return the settings as `{"section": {"field": value}}`, readable by `from_mapping`."""
        return dataclasses.asdict(self)


def from_mapping(tree: Mapping[str, Any]) -> Config:
    """Build a `Config` from `{"section": {"field": value}}` or flat `{"field": value}`, or a mixture.

    Raises:
        InputError: an unknown section or field, or a value of the wrong type.
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(value if isinstance(value, Mapping) else {key: value})
    return Config().replace(**flat)


def _typed(name: str, hint: Any, default: Any, value: Any) -> Any:
    """Bring `value` (from YAML or JSON) to the type of its field, or say what was expected."""
    if get_args(hint) == get_args(Choice) and isinstance(value, bool):
        value = str(value).lower()  # YAML reads true and false as booleans
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise InputError(f"setting {name!r}: got {value!r}, expected one of {', '.join(get_args(hint))}")
    if get_origin(hint) in (UnionType, Union):  # a number, or a word in its place
        words = [word for part in get_args(hint) for word in get_args(part)]
        if isinstance(value, str) and value in words:
            return value
        if float in get_args(hint) and type(value) in (int, float):
            return float(value)
        if type(value) in get_args(hint):
            return value
        raise InputError(f"setting {name!r}: got {value!r}, expected a number or {' or '.join(words)}")
    if isinstance(default, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is type(default):
        return value
    raise InputError(
        f"setting {name!r}: got {value!r}, expected {type(default).__name__} such as {default!r}"
    )
