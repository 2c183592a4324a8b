"""Opens versions of a store for a server: each is verified and answers its golden pictures first."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from imgrec.errors import InputError
from imgrec.serving.golden_check import check
from imgrec.serving.jobs import Plan
from imgrec.serving.limits import Limits
from imgrec.serving.source import Version, opened
from imgrec.serving.starting import StorePlan
from imgrec.store import State
from imgrec.store.golden import Golden

Key = tuple[str, str]
"""Name and digest of a version: a name may come to stand for another one."""


@dataclass(frozen=True)
class Look:
    """What a look at the store showed.

    state: its roles.
    keys: name → key of every version with a role; the digest is empty where it cannot be read.
    marks: name → mark of those that were refused.
    """

    state: State
    keys: Mapping[str, Key]
    marks: Mapping[str, str]


class Opener:
    """Opens versions, and remembers those that it refused."""

    def __init__(self, plan: StorePlan, limits: Limits) -> None:
        """Take what to open, and what requests may cost."""
        self.store, self._plan, self._limits = plan.store, plan, limits
        self.refused: dict[str, str] = {}
        self._marks: dict[str, str] = {}

    def look(self) -> Look:
        """Look at the store; reads files. Raises InputError where its state cannot be read."""
        state = self.store.state
        keys = {name: (name, self._digest(name)) for name in state.roles().values()}
        return Look(state, keys, {name: self.store.mark(name) for name in list(self._marks)})

    def _digest(self, name: str) -> str:
        try:
            return self.store.entry(name).digest
        except InputError:
            return ""  # opening it says why

    def known(self, look: Look, name: str) -> bool:
        """Whether a version was refused as it is now."""
        return name in self._marks and self._marks[name] == look.marks.get(name)

    def forget(self, names: set[str]) -> None:
        """Remember nothing of versions but these, which have a role."""
        for name in set(self.refused) - names:
            del self.refused[name], self._marks[name]

    async def open(self, name: str) -> Version | None:
        """Start a version's workers and have its golden pictures answered; None where it is refused."""
        mark = await asyncio.to_thread(self.store.mark, name)
        try:
            version = await self._open(name)
        except Exception as error:  # whatever it is: what answers now goes on
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            why = kind + " ".join(str(error).split())
        else:
            self.refused.pop(name, None)
            self._marks.pop(name, None)
            await asyncio.to_thread(self.store.note, version.facts.version, "")
            return version
        self.refused[name], self._marks[name] = why, mark
        print(f"store: version {name} is refused: {why}", file=sys.stderr, flush=True)
        if digest := self._digest(name):
            await asyncio.to_thread(self.store.note, digest, why)
        return None

    async def _open(self, name: str) -> Version:
        plan, golden = await asyncio.to_thread(self._prepared, name)
        entry = self.store.entry(name)
        version = await opened(plan, self._limits, name)
        try:
            if version.facts.version != entry.digest:
                raise InputError("its files changed while it was opened")
            await check(version.pool, golden, entry.rounding)
        except BaseException:
            version.pool.close()
            await version.pool.ended()
            raise
        return version

    def _prepared(self, name: str) -> tuple[Plan, Golden]:
        golden = self.store.verify(name)
        return self._plan.plan_of(name), golden
