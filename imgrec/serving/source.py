"""Where answers come from: one version at first; what holds several overrides `pick`, and swaps."""

from dataclasses import dataclass

from imgrec.serving.facts import Facts
from imgrec.serving.jobs import Plan
from imgrec.serving.limits import Limits
from imgrec.serving.pool import Pool


@dataclass(frozen=True, eq=False)
class Version:
    """A model that is being served: what it is, its workers, and its name in a store, if it is from one."""

    pool: Pool
    called: str = ""

    @property
    def facts(self) -> Facts:
        """What its workers say of it."""
        return self.pool.facts


async def opened(plan: Plan, limits: Limits, called: str = "") -> Version:
    """Start the workers of a version and return it when all are ready. Raises as `Pool.start`."""
    pool = Pool(plan, limits)
    try:
        await pool.start()
    except BaseException:  # nobody wants it any more, perhaps
        pool.close()
        await pool.ended()
        raise
    return Version(pool, called)


async def ended(version: Version) -> None:
    """Let a version answer what it was picked for, then end its workers."""
    await version.pool.drain()
    version.pool.close()
    await version.pool.ended()


class Source:
    """The version that answers now.

    A request keeps the version that `pick` gave it, so that a swap in between touches none.
    """

    def __init__(self, version: Version) -> None:
        self._version = version
        self.shadow: Version | None = None
        """Is asked too, by whoever wants to compare; nobody gets its answers."""
        self.refused: dict[str, str] = {}
        """Versions that are to have a role and cannot be served, and why."""
        self.swaps = 0
        """How often another version took over as the one that answers."""

    @property
    def current(self) -> Version:
        """The version that answers requests without a key."""
        return self._version

    @property
    def canary(self) -> Version | None:
        """The version that answers `share` of the keys in place of the current one."""
        return None

    @property
    def share(self) -> float:
        """Of the keys that the canary answers, 0…1."""
        return 0.0

    def pick(self, key: str) -> Version:
        """Return the version for a request; equal keys get the same one as long as versions stay."""
        return self._version

    def named(self, name: str, version: str) -> Version | None:
        """Return a version by its model's name, and its name in the store or 8 or more of its digest."""
        ours = [each for each in self.versions() if each.facts.name == name]
        by_name = [each for each in ours if version and each.called == version]
        long = len(version) >= 8
        by_digest = [each for each in ours if long and each.facts.version.startswith(version)]
        return next(iter(by_name + by_digest), None)

    def knows(self, name: str) -> bool:
        """Whether a model of that name answers."""
        return self._version.facts.name == name

    def versions(self) -> list[Version]:
        """Return every version that has workers, the one that answers first."""
        return [self._version]

    def role(self, version: Version) -> str:
        """Return what a version is now: active, canary or shadow."""
        return "shadow" if version is self.shadow else "active"

    async def close(self) -> None:
        """Answer what is waiting, then end all workers."""
        for version in self.versions():
            await ended(version)
