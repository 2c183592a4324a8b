"""The routes: what a request asks for, and the answer that a worker gives.

The two routes that pictures take are handled before Starlette sees them: that halves what HTTP costs.
"""

import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette

from imgrec.serving.bodies import top_of
from imgrec.serving.limits import Limits, Token
from imgrec.serving.metrics import Metrics
from imgrec.serving.refusal import RefusedError, error_body
from imgrec.serving.source import Source, Version
from imgrec.serving.wire import INFER, NONE, PREDICT, Frame

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
JSON, BINARY = b"application/json", b"application/octet-stream"
OPEN = frozenset(
    {"/", "/docs", "/openapi.json", "/page.css", "/page.js", "/v2/health/live", "/v2/health/ready"}
)
"""Paths that need no token: they tell nothing of a model."""


class GoneError(Exception):
    """The client closed the connection before it had sent its request."""


class App:
    """The ASGI application.

    Attributes:
        source: the versions that answer.
        draining: whether the server is about to end; it then isn't ready, but answers whoever still asks.
    """

    def __init__(self, source: Source, limits: Limits, token: Token, others: Starlette) -> None:
        self.source, self.limits, self.metrics = source, limits, Metrics(source)
        self.draining = False
        self._token, self._others, self._held = token, others, 0
        others.state.app = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        start, path = time.perf_counter(), scope["path"]
        route = "predict" if path == "/predict" else "infer" if path.endswith("/infer") else ""
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        name = given if _ID.fullmatch(given) else secrets.token_hex(8).encode()
        extra = [(b"x-request-id", name)]
        if self.draining:
            extra.append((b"connection", b"close"))
        try:
            if path not in OPEN and not self._token.admits(headers.get(b"authorization", b"")):
                raise RefusedError(401, "expected the header Authorization: Bearer, with the server's token")
            if not route or scope["method"] != "POST":
                await self._others(scope, receive, _with(send, extra))
                return
            status, head, body = await self._answer(route, scope, headers, name, receive)
        except RefusedError as refusal:
            status, head, body = refusal.status, NONE, error_body(str(refusal))
            extra += _explained(refusal)
        except GoneError:
            return
        await _respond(send, status, head, body, extra)
        self.metrics.answered(route or "other", status, time.perf_counter() - start)

    async def _answer(
        self, route: str, scope: Scope, headers: dict[bytes, bytes], name: bytes, receive: Receive
    ) -> tuple[int, int, bytes]:
        """Return status, length of the JSON part and body. Raises RefusedError."""
        version, frame = self._asked(route, scope, headers, name)
        size = self._size(headers)
        if version.pool.waiting >= self.limits.waiting or self._held + size > self.limits.held:
            raise RefusedError(429, "too many requests are waiting; send it again", version.pool.patience)
        self._held += size
        try:
            body = await _body(receive, self.limits.bytes)
            reply = await version.pool.ask(frame._replace(body=body))
        finally:
            self._held -= size
        if reply.code == 200:
            self.metrics.images(version.facts.version, version.facts.labels, reply)
        return reply.code, reply.head, reply.body

    def _asked(
        self, route: str, scope: Scope, headers: dict[bytes, bytes], name: bytes
    ) -> tuple[Version, Frame]:
        """Return who is to answer, and the job without its body."""
        text = name + b"\n" + headers.get(b"content-type", b"")[:1000]
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RefusedError(415, "Content-Encoding: expected a body as it is, not compressed")
        if route == "predict":
            top = _top(scope["query_string"]) if scope["query_string"] else 0
            return self.source.pick(name.decode()), Frame(0, PREDICT, top, text=text)
        found = _INFER.fullmatch(scope["path"])
        version = self.source.named(found[1], found[2] or "") if found else None
        if version is None:
            raise RefusedError(404, "no such model or version")
        length = _length(headers.get(b"inference-header-content-length"))
        return version, Frame(0, INFER, head=length, text=text)

    def _size(self, headers: dict[bytes, bytes]) -> int:
        """Return the bytes to keep free for a body. Raises RefusedError where it is too large."""
        said = headers.get(b"content-length")
        size = self.limits.bytes if said is None else int(said)
        if size > self.limits.bytes:
            raise _too_large(self.limits.bytes)
        return size


def _top(query: bytes) -> int:
    try:
        given = parse_qs(query.decode("latin-1"), max_num_fields=10)
    except ValueError:
        raise RefusedError(400, "query: more fields than there are options; expected ?top=N") from None
    return top_of(given["top"][0]) if "top" in given else 0


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"body: more than the {most:,} bytes allowed; scale the picture down")


def _length(said: bytes | None) -> int:
    if said is None:
        return NONE
    if not said.isdigit() or len(said) > 9:
        raise RefusedError(400, "Inference-Header-Content-Length: expected a whole number")
    return int(said)


async def _body(receive: Receive, most: int) -> bytes:
    """Return the whole body. Raises RefusedError of a large one, GoneError of a client that left."""
    message = await receive()
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise GoneError
        parts.append(message["body"])
        size += len(parts[-1])
        if size > most:
            raise _too_large(most)
        if not message["more_body"]:
            return b"".join(parts)
        message = await receive()


def _explained(refusal: RefusedError) -> list[tuple[bytes, bytes]]:
    """Return the headers that belong to a refusal."""
    headers = [(b"retry-after", str(refusal.retry_after).encode())] if refusal.retry_after else []
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.status == 413:  # what follows of the body is not worth reading
        headers.append((b"connection", b"close"))
    return headers


async def _respond(send: Send, status: int, head: int, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    headers = [
        (b"content-type", JSON if head == NONE else BINARY),
        (b"content-length", str(len(body)).encode()),
        *extra,
    ]
    if head != NONE:
        headers.append((b"inference-header-content-length", str(head).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    """Return a `send` that adds headers."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return sending
