"""The language of a page: English sentences are the keys, a catalogue has those of another language."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from imgrec.errors import InputError
from imgrec.phrases import Phrase

LANGUAGES = ("en", "zh")
"""What pages can be written in: English, and a folder in languages/ for each other one."""


@dataclass(frozen=True, eq=False)
class Language:
    """What says a page's sentences.

    code: as HTML's `lang` has it, such as `en`.
    catalogue: English sentence → the same in this language, with the same names in braces. A sentence that is
        not there, such as of an evaluation of one's own, stays English.
    """

    code: str = "en"
    catalogue: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str, **values: Any) -> str:
        """Return `text`, an English sentence or a `Phrase`, in this language.

        `values` stand in the place of `{names}`; phrases among them are said in this language too. Without
        values the text is taken as it is, braces and all.
        """
        if isinstance(text, Phrase):
            values = {**text.values, **values}
            text = text.template
        said = self.catalogue.get(text, text)
        return said.format(**{name: self.of(value) for name, value in values.items()}) if values else said

    def of(self, value: Any) -> Any:
        """Return a phrase in this language, and anything else as it is."""
        return self(value) if isinstance(value, Phrase) else value

    def sentence(self, text: str) -> str:
        """Return a clause as a sentence: with a capital, where letters have them, and a full stop."""
        return self("{clause}.", clause=self.capital(text))

    def capital(self, text: str) -> str:
        """Return a clause with a capital, where letters have them."""
        said = self(text)
        return said[:1].upper() + said[1:]


ENGLISH = Language()


@functools.cache
def language(code: str) -> Language:
    """Return the language of this code, one of `LANGUAGES`.

    Raises:
        InputError: another one.
    """
    if code not in LANGUAGES:
        raise InputError(f"--lang {code}: pages are written in {', '.join(LANGUAGES)}")
    if code == ENGLISH.code:
        return ENGLISH
    catalogue: dict[str, str] = {}
    for file in resources.files("imgrec.evaluation").joinpath("languages", code).iterdir():
        catalogue |= yaml.safe_load(file.read_text("utf-8"))
    return Language("zh-Hans" if code == "zh" else code, catalogue)
