"""Connections: bounds on headers and time, which uvicorn has none of, and a short way for pictures.

A request for an answer does not become an ASGI call: its body goes to a worker, and what comes back is sent
in one piece. Whatever else comes, and requests that are sent before the last one was answered, go uvicorn's
way to the same application.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from imgrec.serving.front import Answer, Asked, Front
from imgrec.serving.refusal import RefusedError, error_body

PARTING = 0.5
"""Seconds that an idle connection has, once the server ends: a request may just be on its way."""


class _Nobody:
    """Waits for no event: stands in for the one by which uvicorn's cycles are woken."""

    def set(self) -> None:
        """Wake nobody."""


class Exchange:
    """A request on the short way, and its answer; to uvicorn it is a cycle like its own."""

    message_event = _Nobody()

    def __init__(self, connection: "Connection", name: bytes, keep_alive: bool) -> None:
        """Begin one; `name` is the request's id."""
        self._connection, self.name, self.keep_alive = connection, name, keep_alive
        self.asked: Asked | None = None
        self.parts: list[bytes] = []
        self.size = 0
        self.disconnected = self.response_started = self.response_complete = False

    def done(self, answer: Answer) -> None:
        """Send the answer, unless the client has left."""
        if not self.disconnected and not self.response_complete:
            self._connection.respond(self, answer)


class Connection(HttpToolsProtocol):
    """One connection; `front` is set on a subclass by `bounded`."""

    front: Front

    def __init__(self, *given: Any, **named: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*given, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._heads = 0  # bytes since the last request was whole
        self._whole = False  # whether the request that was read last is
        self._in_head = True
        self._fault = 400
        self._exchange: Exchange | None = None  # while its body comes in

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, or close at once where there are too many."""
        super().connection_made(transport)
        self._begin()
        if len(self.connections) > self.front.limits.connections:
            self._refuse(503, "too many connections")

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the client."""
        self._end()
        if self._exchange is not None and self._exchange.asked is not None:
            self.front.leave(self._exchange.asked)
            self._exchange = None
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._heads += len(data)
        self._whole = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._heads > self.front.limits.header_bytes:
            self._refuse(431, "headers: too large")
        elif self._timer is None and not self._whole:
            self._begin()

    def on_message_begin(self) -> None:
        """A request's first byte; what uvicorn prepares for it waits until it is known to be needed."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, one of not too many."""
        super().on_header(name, value)
        if len(self.headers) > self.front.limits.headers:
            self._fault = 431
            raise httptools.HttpParserError("headers")

    def on_headers_complete(self) -> None:
        """Choose the way."""
        self._in_head, self._heads = False, 0
        free = self.cycle is None or self.cycle.response_complete
        if free and self.parser.get_method() == b"POST" and self._short():
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _short(self) -> bool:
        """Begin an exchange, if the request asks for an answer; say whether it does."""
        path, _, query = self.url.partition(b"?")
        headers = dict(self.headers)
        name = self.front.name_of(headers)
        exchange = Exchange(self, name, self.parser.should_keep_alive())
        try:
            words = path.decode("ascii")
            self.front.admit(words, headers)
            exchange.asked = self.front.begin(words, query, headers, name)
            if exchange.asked is None:
                return False
        except RefusedError as refusal:
            self.cycle = exchange  # type: ignore[assignment]
            self.respond(exchange, self.front.refuse(path.decode("latin-1"), refusal, name))
            return True
        except UnicodeDecodeError:
            return False
        self.cycle = self._exchange = exchange  # type: ignore[assignment]
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body."""
        exchange = self._exchange
        if exchange is None:
            super().on_body(body)
            return
        exchange.parts.append(body)
        exchange.size += len(body)
        if exchange.size > self.front.limits.bytes and exchange.asked is not None:
            self.front.leave(exchange.asked)
            self._exchange = None
            path = self.url.partition(b"?")[0].decode("latin-1")
            self.respond(exchange, self.front.refuse(path, self.front.too_large(), exchange.name))

    def on_message_complete(self) -> None:
        """The request is whole: from here on its answer has the time."""
        self._end()
        self._in_head = self._whole = True
        exchange = self._exchange
        if exchange is None:
            super().on_message_complete()
        elif exchange.asked is not None:
            self._exchange = None
            parts, exchange.parts = exchange.parts, []
            self.front.ask(exchange.asked, parts[0] if len(parts) == 1 else b"".join(parts), exchange.done)

    def respond(self, exchange: Exchange, answer: Answer) -> None:
        """Send an answer in one piece."""
        lines = [STATUS_LINE[answer.status]]
        for name, value in (*self.server_state.default_headers, *self.front.headers(answer, exchange.name)):
            lines += (name, b": ", value, b"\r\n")
            if name == b"connection":
                exchange.keep_alive = False
        if not exchange.keep_alive:
            lines.append(b"connection: close\r\n")
        elif self.parser.get_http_version() == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        lines += (b"\r\n", answer.body)
        self.transport.write(b"".join(lines))
        exchange.response_started = exchange.response_complete = True
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def shutdown(self) -> None:
        """The server is about to end: close when the answer is sent, or soon, for one may be on its way."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(PARTING, self._part)
        else:
            super().shutdown()

    def _part(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and self._in_head and not self._heads:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too much of it."""
        self._refuse(self._fault, "headers: too many" if self._fault == 431 else "not a request of HTTP")

    def _begin(self) -> None:
        self._timer = self.loop.call_later(self.front.limits.sending, self._slow)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _slow(self) -> None:
        self._timer = None
        self._refuse(408, "the request was not whole in time")

    def _refuse(self, status: int, words: str) -> None:
        """Send an error, unless an answer is on its way, and close."""
        self._end()
        if self.transport.is_closing():
            return
        waits = self.cycle is not None and not self.cycle.response_complete and self._whole
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not begun and not waits:
            body = error_body(words)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()


def bounded(front: Front) -> type[Connection]:
    """Return the protocol of connections to this front."""
    return type("Bounded", (Connection,), {"front": front})
