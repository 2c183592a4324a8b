"""What an audit can find: one code a kind, each with its severity and meaning."""

import unicodedata
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Kind(NamedTuple):
    """error: cannot be trained on. warning: can, and should be looked at. info: handled as documented."""

    severity: Severity
    meaning: str


CODES = {
    "empty": Kind("error", "the file has no bytes"),
    "unreadable": Kind("error", "the file or folder cannot be opened"),
    "unreadable_name": Kind("error", "the name is not valid Unicode or holds control characters"),
    "not_an_image": Kind("error", "no image, whatever its name says"),
    "unsupported_format": Kind("error", "an image of a format that is not read"),
    "truncated": Kind("error", "the file breaks off before its end"),
    "damaged": Kind("error", "the file is whole and its contents are not"),
    "too_large": Kind("error", "more pixels or bytes than allowed; not decoded"),
    "too_slow": Kind("error", "took longer than allowed"),
    "crashed": Kind("error", "the decoder died of it"),
    "empty_class": Kind("error", "a class folder without usable images"),
    "too_few": Kind("error", "fewer images of a class than there are splits to make"),
    "class_missing_from_split": Kind("error", "a split has no image of a class"),
    "class_only_outside_train": Kind("error", "a class that the training split lacks"),
    "wrong_extension": Kind("warning", "the name ends otherwise than its content asks"),
    "animated": Kind("warning", "several images; only the first one counts"),
    "stray_data": Kind("warning", "decodes, with bytes left over: perhaps damaged"),
    "symlink_loop": Kind("warning", "a link that leads back to a folder it lies in; not followed"),
    "blank": Kind("warning", "one colour all over"),
    "tiny_class": Kind("warning", "few images in a class"),
    "duplicate": Kind("warning", "the same bytes twice in a split"),
    "duplicate_across_splits": Kind(
        "warning", "the same bytes in two splits: the test would know its answers"
    ),
    "near_duplicate": Kind("warning", "the same image twice in a split, resized or encoded again"),
    "near_duplicate_across_splits": Kind("warning", "the same image in two splits, resized or encoded again"),
    "two_labels": Kind("warning", "the same image under two labels"),
    "label_suspect": Kind("warning", "the label is probably wrong (confident learning, resampled)"),
    "cmyk": Kind("info", "four printing colours, turned into RGB"),
    "16_bit": Kind("info", "sixteen bits a channel, scaled to eight"),
    "alpha": Kind("info", "transparency, laid on white"),
    "palette": Kind("info", "a palette, turned into its colours"),
    "exif_rotated": Kind("info", "stored turned or mirrored, shown upright"),
    "quarantined": Kind("info", "left out: the quarantine list names it"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    id: the path relative to the data (or the id of an image in an array), printable.
    code: a key of `CODES`; detail: the same in words, for this file.
    """

    id: str
    code: str
    detail: str

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown code {self.code!r}")

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CODES[self.code].severity

    @property
    def broken(self) -> bool:
        """Whether nothing can be trained on it."""
        return self.severity == "error"

    def record(self) -> dict[str, str]:
        """The finding as an entry of audit.json."""
        return {"id": self.id, "code": self.code, "severity": self.severity, "detail": self.detail}


def printable(name: str) -> str:
    """Return a name as text of one line: control characters and stray bytes stand as `\\n` or `\\xff`."""
    if name.isprintable():  # as nearly all are, and told at once
        return name
    return "".join(_escaped(c) if unicodedata.category(c) in _UNFIT else c for c in name)


# Control characters, halves of characters (how Python shows bytes that are no UTF-8), line separators.
_UNFIT = {"Cc", "Cs", "Zl", "Zp"}


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]
