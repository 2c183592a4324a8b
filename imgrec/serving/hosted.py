"""The server as one ASGI application that starts and ends its workers by itself, for servers of others."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from imgrec.errors import InputError
from imgrec.serving import routes
from imgrec.serving.app import App, Receive, Scope, Send
from imgrec.serving.command import Command, limits_of, plan_of
from imgrec.serving.front import Front
from imgrec.serving.limits import Token
from imgrec.serving.store_source import source_of


@dataclass(eq=False)
class Hosted:
    """An ASGI application; `lifespan` opens and closes it. Until it is opened it may be pickled.

    asked: what to serve; host, port, and what is compared or watched in one process alone, are not looked at.
    """

    asked: Command
    _app: App | None = field(default=None, init=False)

    @property
    def ready(self) -> bool:
        """Whether a worker can answer."""
        return self._app is not None and self._app.front.source.current.pool.ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, _named_once(scope, send))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            limits = limits_of(self.asked)
            source = await source_of(plan_of(self.asked), limits)
        except InputError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._app = App(Front(source, limits, Token.of(self.asked.token_file)), routes.starlette())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._app.front.draining = True
        await source.close()
        await send({"type": "lifespan.shutdown.complete"})


def _named_once(scope: Scope, send: Send) -> Send:
    """Return a `send` without the request's id where whoever hands the request on has named it."""
    if not any(name == b"x-request-id" for name, _ in scope["headers"]):
        return send

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            named = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
            message = {**message, "headers": named}
        await send(message)

    return sending
