"""A store is followed while it serves: what it says takes over when it is ready, and no request is lost."""

import asyncio
import contextlib
import hashlib
import sys

from imgrec.errors import InputError
from imgrec.serving.jobs import Plan
from imgrec.serving.limits import Limits
from imgrec.serving.source import Source, Version, ended, opened
from imgrec.serving.starting import StorePlan
from imgrec.serving.store_opening import Key, Look, Opener
from imgrec.store import State

POLL = 0.5
"""Seconds between looks at the store."""
PATIENCE = 60.0
"""Seconds for which a start waits for a canary and a shadow."""
_KEYS = 1 << 64


async def source_of(plan: Plan | StorePlan, limits: Limits) -> Source:
    """Start what answers. Raises InputError where it cannot be served."""
    if isinstance(plan, StorePlan):
        return await StoreSource.started(plan, limits)
    return Source(await opened(plan, limits))


def is_canary_s(key: str, share: float) -> bool:
    """Whether a key is among the share that a canary answers; a larger share has all of a smaller one."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) < share * _KEYS


class StoreSource(Source):
    """The versions of a store that have a role; made by `started`."""

    def __init__(self, opener: Opener, key: Key, version: Version) -> None:
        """Take the version that answers first."""
        super().__init__(version)
        self.refused = opener.refused
        self._opener = opener
        self._canary: Version | None = None
        self._share = 0.0
        self._held = {key: version}
        self._opening: dict[Key, asyncio.Task[None]] = {}
        self._leaving: dict[Version, tuple[str, asyncio.Task[None]]] = {}
        self._changed = asyncio.Event()
        self._fault = ""
        self._follower: asyncio.Task[None] | None = None

    @classmethod
    async def started(cls, plan: StorePlan, limits: Limits) -> "StoreSource":
        """Open the active version, or, where that is refused, the last one before it that isn't.

        Raises:
            InputError: no version is active, or none that ever was can be served.
        """
        opener, path = Opener(plan, limits), plan.store.path
        state = plan.store.state
        if not state.active:
            name = next(iter(plan.store.names()), "NAME")
            raise InputError(
                f"{path}: no version is active; `python -m pipelines.store promote {path} {name}` makes it so"
            )
        for name in dict.fromkeys((state.active, *reversed(state.history))):
            version = await opener.open(name)
            if version is not None:
                source = cls(opener, (name, version.facts.version), version)
                await source._begin()
                return source
        raise InputError(
            f"{path}: version {state.active}: {opener.refused[state.active]}; none before it can be served"
        )

    async def _begin(self) -> None:
        """Bring in a canary and a shadow, then follow the store."""
        await self._step()
        if self._opening:
            await asyncio.wait(self._opening.values(), timeout=PATIENCE)
            await self._step()
        self._follower = asyncio.create_task(self._follow())

    @property
    def canary(self) -> Version | None:
        """As `Source.canary`."""
        return self._canary

    @property
    def share(self) -> float:
        """As `Source.share`."""
        return self._share

    def pick(self, key: str) -> Version:
        """Return the canary for its share of keys, the active version for others."""
        if self._canary is not None and is_canary_s(key, self._share):
            return self._canary
        return self._version

    def versions(self) -> list[Version]:
        """Return every version with a role."""
        roles = (self._version, self._canary, self.shadow)
        return list(dict.fromkeys(each for each in roles if each is not None))

    def role(self, version: Version) -> str:
        """Return what a version is: active, canary or shadow; of one that is about to end, what it was."""
        if version in self._leaving:
            return self._leaving[version][0]
        return "canary" if version is self._canary else super().role(version)

    async def _follow(self) -> None:
        """Look at the store again and again."""
        while True:
            self._changed.clear()
            try:
                await self._step()
                self._fault = ""
            except Exception as error:  # a store that cannot be read is looked at again
                if str(error) != self._fault:
                    _say(f"{type(error).__name__}: {error}; what was there before goes on")
                self._fault = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._changed.wait()

    async def _step(self) -> None:
        """Do what is due: open what has a role, give roles to what is ready, end what has none."""
        look = await asyncio.to_thread(self._opener.look)
        self._opener.forget(set(look.keys))
        for key, task in self._opening.items():
            if key not in look.keys.values():
                task.cancel()
        for name, key in look.keys.items():
            if key not in self._held and key not in self._opening and not self._opener.known(look, name):
                self._opening[key] = asyncio.create_task(self._bring(key))
        self._assign(look)

    async def _bring(self, key: Key) -> None:
        try:
            version = await self._opener.open(key[0])
            if version is not None:
                self._held[key[0], version.facts.version] = version
        finally:
            self._opening.pop(key, None)
            self._changed.set()

    def _assign(self, look: Look) -> None:
        """Give versions that are ready their roles, all at once."""
        state: State = look.state

        def ready(name: str) -> Version | None:
            return self._held.get(look.keys[name]) if name else None

        active = ready(state.active) or self._version
        if active is not self._version:
            _say(f"version {active.called} answers now, {self._version.called} did before")
            self.swaps += 1
        canary, shadow = ready(state.canary), ready(state.shadow)
        roles = {version: self.role(version) for version in self.versions()}
        self._version, self._share = active, state.share
        self._canary = canary if canary is not active else None
        self.shadow = shadow if shadow is not active else None
        kept = self.versions()
        for key, version in list(self._held.items()):
            if version not in kept:
                del self._held[key]
                task = asyncio.create_task(self._end(version))
                self._leaving[version] = roles.get(version, "active"), task

    async def _end(self, version: Version) -> None:
        await ended(version)
        del self._leaving[version]

    async def close(self) -> None:
        """Answer what is waiting, then end all workers."""
        tasks = [*self._opening.values(), *([self._follower] if self._follower else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().close()
        await asyncio.gather(*(task for _, task in self._leaving.values()))


def _say(line: str) -> None:
    print(f"store: {line}", file=sys.stderr, flush=True)
