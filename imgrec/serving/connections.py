"""Connections with bounds on headers and time, which uvicorn leaves to whoever stands before it."""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from imgrec.serving.limits import Limits
from imgrec.serving.refusal import error_body


class Connection(HttpToolsProtocol):
    """One connection; `limits` is set on a subclass by `bounded`."""

    limits: Limits

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._heads = 0  # bytes since the last request was whole
        self._in_head = True
        self._fault = 400

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, or close at once where there are too many."""
        super().connection_made(transport)
        self._begin()
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "too many connections")

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the client."""
        self._end()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self.transport.is_closing():
            return
        if self._timer is None:
            self._begin()
        if self._in_head:
            self._heads += len(data)
        super().data_received(data)
        if self._in_head and self._heads > self.limits.header_bytes and not self.transport.is_closing():
            self._refuse(431, "headers: too large")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, one of not too many."""
        super().on_header(name, value)
        if len(self.headers) > self.limits.headers:
            self._fault = 431
            raise httptools.HttpParserError("headers")

    def on_headers_complete(self) -> None:
        """Let the application begin."""
        self._in_head, self._heads = False, 0
        if sum(len(name) + len(value) for name, value in self.headers) > self.limits.header_bytes:
            self._fault = 431
            raise httptools.HttpParserError("headers")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: from here on the application has the time."""
        self._end()
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Count the time of what follows, where a body was answered before it was whole."""
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too much of it."""
        self._refuse(self._fault, "headers: too many" if self._fault == 431 else "not a request of HTTP")

    def _begin(self) -> None:
        self._timer = self.loop.call_later(self.limits.sending, self._slow)

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
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not begun:
            body = error_body(words)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()


def bounded(limits: Limits) -> type[Connection]:
    """Return the protocol with these bounds."""
    return type("Bounded", (Connection,), {"limits": limits})
