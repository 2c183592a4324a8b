"""The server process: binds, starts workers, and answers until it is told to end; nothing is lost then."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
import uvloop

from imgrec.errors import InputError
from imgrec.serving import routes
from imgrec.serving.app import App
from imgrec.serving.connections import bounded
from imgrec.serving.front import Front
from imgrec.serving.jobs import Plan
from imgrec.serving.limits import Limits, Token
from imgrec.serving.listening import bound, turn_away, waiting_at
from imgrec.serving.logs import Log
from imgrec.serving.starting import StorePlan
from imgrec.serving.status import Status
from imgrec.serving.store_source import source_of
from imgrec.serving.trial.counting import Counting
from imgrec.serving.trial.desk import Desk
from imgrec.serving.trial.settings import TrialSettings
from imgrec.serving.watch_settings import WatchSettings

LINGER = 0.5
"""Seconds from the signal to end until no new connection is taken: who was on the way gets through."""
SETTLING = 0.05
"""Seconds in which whoever is connecting has connected."""


@dataclass(frozen=True)
class Place:
    """Where to listen, and what to hold requests to."""

    host: str = "127.0.0.1"
    port: int = 8080
    linger: float = LINGER
    token: Token = field(default_factory=lambda: Token(""))
    limits: Limits = field(default_factory=Limits)
    trial: TrialSettings = field(default_factory=TrialSettings)
    watching: WatchSettings = field(default_factory=WatchSettings)


class Server(uvicorn.Server):
    """uvicorn, which on SIGTERM first says that it isn't ready and closes connections after their answer."""

    def __init__(
        self, config: uvicorn.Config, front: Front, linger: float, ready: Callable[[], None]
    ) -> None:
        """Take what is called once it listens, beside the front."""
        super().__init__(config)
        self._front, self._linger, self._ready = front, linger, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what there is, then end."""
        self._front.draining = True
        await asyncio.sleep(0 if self.force_exit else self._linger)
        turn_away(sockets or [])
        await asyncio.sleep(SETTLING)
        taken = [asyncio.ensure_future(self._take(client)) for client in waiting_at(sockets or [])]
        await super().shutdown(sockets)
        await asyncio.gather(*taken)
        self._captured_signals.clear()  # a drained server ends with 0

    async def _take(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        protocol = cast(Any, self.config.http_protocol_class)
        given = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        await loop.connect_accepted_socket(lambda: protocol(**given, _loop=loop), client)


def serve(plan: Plan | StorePlan, place: Place, said: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        plan: what to serve, by how many workers; of a store whatever version it names, as it changes.
        place: where.
        said: takes what to say when the server is ready, and one when it has ended.

    Raises:
        InputError: the address is taken or unknown, or the model cannot be served.
    """
    listener = bound(place.host, place.port)
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, place, listener, said))


async def _serve(
    plan: Plan | StorePlan, place: Place, listener: socket.socket, said: Callable[[str], None]
) -> None:
    source = await source_of(plan, place.limits)
    front = Front(source, place.limits, place.token)
    try:
        desk = Desk(place.trial, source, plan.store if isinstance(plan, StorePlan) else None)
    except InputError:
        await source.close()
        raise
    front.observers.append(desk.seen)
    front.metrics.register(Counting(desk, front.shadowing))
    log = Log(place.watching)
    status = Status(front, place.watching, log)
    version = source.current
    facts, called = version.facts, f", version {version.called}" if version.called else ""
    host = f"[{place.host}]" if ":" in place.host else place.host
    line = (
        f"serving {facts.name} {facts.version[:12]} ({facts.platform}{called}, "
        f"{version.pool.plan.workers} workers, "
        f"{facts.batch} pictures at once, {facts.milliseconds:g} ms each) "
        f"on http://{host}:{listener.getsockname()[1]}"
    )
    unwatched = "".join(f"\nnote: {words}" for words in await status.opened())
    others = routes.starlette()
    others.state.desk, others.state.status = desk, status
    server = Server(_config(App(front, others), place), front, place.linger, lambda: said(line + unwatched))
    gc.freeze()
    sampling = asyncio.create_task(status.run())
    try:
        await server.serve(sockets=[listener])
    finally:
        sampling.cancel()
        await source.close()
        desk.close()
        log.close()
    said(f"done: {server.server_state.total_requests:,} requests answered")


def _config(application: App, place: Place) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        application,
        http=bounded(application.front),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(place.limits.seconds + place.limits.sending) + 1,
    )
