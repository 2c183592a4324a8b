"""Standard output and error where they cannot show every letter, or where nobody reads on."""

import codecs
import io
import os
import select
import sys

PLAIN = {
    "×": "x", "…": "...", "→": "->", "←": "<-", "−": "-", "–": "-", "—": "-", "·": "*", "≥": ">=", "≤": "<=",
    "≈": "~", "±": "+-", "²": "^2", "½": "1/2", "∞": "inf", "√": "sqrt ", "’": "'", "‘": "'", "“": '"',
    "”": '"', "α": "alpha", "β": "beta", "γ": "gamma", "σ": "sigma", "ε": "eps", "λ": "lambda", "µ": "u",
    "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "├": "+", "┤": "+", "█": "#", "•": "*",
}  # fmt: skip
"""What our own messages hold beside ASCII. Letters of names are escaped instead, so that none is taken for
another."""


def settle() -> None:
    """Let everything be printed: what the encoding lacks is written plainly, or escaped as `\\xe9`."""
    codecs.register_error("imgrec.plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Also of UTF-8: a file name may hold bytes that are no text.
            stream.reconfigure(errors="backslashreplace" if shows_all(stream) else "imgrec.plain")


def shows_all(stream: object) -> bool:
    """Whether a stream's encoding has all letters; a stream without one takes text as it is."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name.startswith("utf")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in letters), error.end


def drop_unread() -> bool:
    """Send what is still to be printed nowhere, where the reader, such as `head`, is gone; whether one is."""
    gone = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_unread(stream.fileno())]
    for descriptor in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return bool(gone)


def _is_unread(descriptor: int) -> bool:
    """Whether this is a pipe that nobody reads; where the system cannot tell, it counts as one."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
