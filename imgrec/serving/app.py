"""The server as an ASGI application, for uvicorn and for whatever else runs one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette

from imgrec.serving.front import Answer, Asked, Front
from imgrec.serving.refusal import RefusedError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class GoneError(Exception):
    """The client closed the connection before it had sent its request."""


class App:
    """Requests for an answer go to the workers, others to Starlette's routes."""

    def __init__(self, front: Front, others: Starlette) -> None:
        """Take the front, and the routes that need no worker."""
        self.front, self._others = front, others
        others.state.front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        name = self.front.name_of(headers)
        try:
            self.front.admit(scope["path"], headers)
            asked = None
            if scope["method"] == "POST":
                asked = self.front.begin(scope["path"], scope["query_string"], headers, name)
            if asked is None:
                await self._others(scope, receive, self._naming(send, name))
                return
            answer = await self._answer(asked, receive)
        except RefusedError as refusal:
            answer = self.front.refuse(scope["path"], refusal, name)
        except GoneError:
            return
        named = self.front.headers(answer, name)
        await send({"type": "http.response.start", "status": answer.status, "headers": named})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, asked: Asked, receive: Receive) -> Answer:
        try:
            body = await self._body(receive)
        except BaseException:
            self.front.leave(asked)
            raise
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.front.ask(asked, body, lambda answer: None if done.done() else done.set_result(answer))
        return await done

    async def _body(self, receive: Receive) -> bytes:
        """Return the whole body. Raises RefusedError of a large one, GoneError of a client that left."""
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
            size += len(parts[-1])
            if size > self.front.limits.bytes:
                raise self.front.too_large()
        return b"".join(parts)

    def _naming(self, send: Send, name: bytes) -> Send:
        """Return a `send` that adds the request's id, and asks to close while the server drains."""
        begun = time.perf_counter()

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.front.noted(name, "other", message["status"], time.perf_counter() - begun)
                closing = [(b"connection", b"close")] if self.front.draining else []
                message["headers"] = [*message["headers"], (b"x-request-id", name), *closing]
            await send(message)

        return sending
