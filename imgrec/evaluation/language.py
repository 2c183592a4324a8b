"""The language of a page: English sentences are the keys, a catalogue has those of another language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Language:
    """What says a page's sentences.

    code: as HTML's `lang` has it, such as `en`.
    catalogue: English sentence → the same in this language, with the same names in braces.
    """

    code: str = "en"
    catalogue: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str, **values: Any) -> str:
        """Return `text`, an English sentence, in this language, with `values` in the place of `{names}`."""
        said = self.catalogue.get(text, text)
        return said.format(**values) if values else said


ENGLISH = Language()
