"""The picture in a request: a raw body, a form with a file, or JSON with base64. Held in memory only."""

import base64
import binascii
from functools import lru_cache
from typing import Any

from imgrec.errors import InputError
from imgrec.guards.documents import parse
from imgrec.serving.refusal import RefusedError

# The last is what `curl --data-binary` says unless it is told otherwise.
RAW = ("", "application/octet-stream", "application/x-www-form-urlencoded")
EXAMPLE = 'expected JSON such as {"image": "<base64>", "top": 3}'
MOST_PARTS = 8
"""Of a form; a picture and `top` are two."""


def picture_in(content_type: str, body: bytes) -> tuple[bytes, int]:
    """Return the bytes of the picture, and how many classes to name, 0 where the body doesn't say.

    Raises:
        RefusedError: 415 of a type that is not known; 400 of a body that is not what its type says.
    """
    if is_raw(content_type):
        return body, 0
    kind = _kind(content_type)
    if kind == "application/json":
        return _from_json(body)
    if kind == "multipart/form-data":
        return _from_form(content_type, body)
    raise RefusedError(
        415, "Content-Type not known: send image/*, application/octet-stream, multipart/form-data or JSON"
    )


@lru_cache(maxsize=64)
def is_raw(content_type: str) -> bool:
    """Whether a body of this type is the picture itself."""
    kind = _kind(content_type)
    return kind in RAW or kind.startswith("image/")


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def json_in(body: bytes, expected: str) -> dict[str, Any]:
    """Return the mapping that a body holds.

    Raises:
        RefusedError: it holds none, names a key twice or is nested too deeply.
    """
    try:
        return parse(body.decode("utf-8"), "body", expected)
    except UnicodeDecodeError:
        raise RefusedError(400, f"body: damaged, expected UTF-8; {expected}") from None
    except InputError as fault:
        raise RefusedError(400, str(fault)) from None


def from_base64(text: Any, where: str) -> bytes:
    """Return the bytes that a text stands for. Raises RefusedError where it is none in base64."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        raise RefusedError(400, f"{where}: expected a text in base64") from None


def top_of(value: Any) -> int:
    """Return how many classes to name. Raises RefusedError of what is no number from 1 to 65535."""
    try:
        top = int(value)
    except (ValueError, TypeError):
        top = 0
    if isinstance(value, float | bool) or not 1 <= top < 1 << 16:
        raise RefusedError(400, "top: expected a whole number of 1 to 65535")
    return top


def _from_json(body: bytes) -> tuple[bytes, int]:
    given = json_in(body, EXAMPLE)
    if not {"image"} <= set(given) <= {"image", "top"}:
        raise RefusedError(400, f"body: other keys than image and top; {EXAMPLE}")
    return from_base64(given["image"], "image"), top_of(given["top"]) if "top" in given else 0


def _from_form(content_type: str, body: bytes) -> tuple[bytes, int]:
    parts = _parts(content_type, body)
    files = [content for name, content in parts if name != b"top"]
    tops = [content for name, content in parts if name == b"top"]
    if len(files) != 1 or len(tops) > 1:
        raise RefusedError(400, f"form: {len(files)} pictures in it, expected one, and at most one top")
    return files[0], top_of(tops[0].decode("ascii", "replace")) if tops else 0


def _parts(content_type: str, body: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and content of each part of a form."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise RefusedError(400, "form: Content-Type has no boundary")
    reader = _FormReader()
    try:
        parser = MultipartParser(boundary, reader.callbacks(), max_size=len(body))
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(400, f"form: damaged ({error})") from None
    if not reader.ended:
        raise RefusedError(400, "form: breaks off before its end")
    return [
        (parse_options_header(said)[1].get(b"name", b""), bytes(content)) for said, content in reader.parts
    ]


class _FormReader:
    """Collects what the parser calls out: of each part its Content-Disposition and its content."""

    def __init__(self) -> None:
        self.parts: list[tuple[bytes, bytearray]] = []
        self.ended = False
        self._field, self._value, self._disposition = bytearray(), bytearray(), b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": lambda: self.parts.append((self._disposition, bytearray())),
            "on_part_data": lambda data, start, end: self.parts[-1][1].extend(data[start:end]),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MOST_PARTS:
            raise RefusedError(400, f"form: more than {MOST_PARTS} parts")
        self._disposition = b""

    def _header(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _end(self) -> None:
        self.ended = True
