"""Which models stand for their families where testing every one would take too long."""

from imgrec.models import MODELS


def smallest_of_each_family() -> set[str]:
    """The one with the fewest parameters of those that one function builds: the same code as the others'."""
    builders = {row.build for row in MODELS.values()}
    families = [[row for row in MODELS.values() if row.build is build] for build in builders]
    return {min(family, key=lambda row: row.parameters).name for family in families}
