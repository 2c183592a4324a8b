"""Where answers come from: one version at first; what holds several overrides `pick`, and swaps."""

from dataclasses import dataclass

from imgrec.serving.facts import Facts
from imgrec.serving.jobs import Plan
from imgrec.serving.limits import Limits
from imgrec.serving.pool import Pool


@dataclass(frozen=True, eq=False)
class Version:
    """A model that is being served: what it is, and its workers."""

    pool: Pool

    @property
    def facts(self) -> Facts:
        """What its workers say of it."""
        return self.pool.facts


async def opened(plan: Plan, limits: Limits) -> Version:
    """Start the workers of a version and return it when all are ready. Raises as `Pool.start`."""
    pool = Pool(plan, limits)
    await pool.start()
    return Version(pool)


class Source:
    """The version that answers now.

    A request keeps the version that `pick` gave it, so that a swap in between touches none.
    """

    def __init__(self, version: Version) -> None:
        self._version = version

    @property
    def current(self) -> Version:
        """The version that answers requests without a key."""
        return self._version

    def pick(self, key: str) -> Version:
        """Return the version for a request; equal keys get the same one as long as versions stay."""
        return self._version

    def named(self, name: str, version: str = "") -> Version | None:
        """Return the version of a model by its name, and by its digest or the first 8 or more letters."""
        facts = self._version.facts
        fits = not version or (len(version) >= 8 and facts.version.startswith(version))
        return self._version if name == facts.name and fits else None

    def versions(self) -> list[Version]:
        """Return every version that has workers."""
        return [self._version]

    def role(self, version: Version) -> str:
        """Return what a version is now: active, canary or shadow."""
        return "active"

    async def swap(self, version: Version) -> None:
        """Let another version, which is ready, answer from now on; end the old one when it has answered."""
        before, self._version = self._version, version
        await before.pool.drain()
        before.pool.close()
        await before.pool.ended()

    async def close(self) -> None:
        """Answer what is waiting, then end all workers."""
        for version in self.versions():
            await version.pool.drain()
            version.pool.close()
            await version.pool.ended()
