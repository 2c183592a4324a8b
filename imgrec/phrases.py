"""English text that remembers what it was made of, so that a page can say it in another language."""

from collections.abc import Mapping, Sequence
from typing import Any


class Phrase(str):
    """A sentence with its values in place: text like any other, for terminals, logs and JSON.

    `Phrase("{count} of {all} images", count=3, all=10)` is "3 of 10 images". A page looks `template` up in
    its catalogue and puts `values` into what it finds, phrases among them in its language too; what is made
    of a phrase by `+`, slices or f-strings is plain text.

    template: the English sentence, with names in braces; a literal in the code, which a test looks for.
    values: name → value.
    """

    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> "Phrase":
        """Put `values` into `template`; without values it is taken as it is, braces and all."""
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Let copies remember too."""
        return (self.template,), dict(self.values)


def listed(parts: Sequence[str]) -> Phrase:
    """Return clauses as one phrase, with semicolons between them; an empty one of none."""
    if len(parts) < 2:
        return Phrase("{clause}", clause=parts[0]) if parts else Phrase("")
    return Phrase("{first}; {rest}", first=parts[0], rest=listed(parts[1:]))
