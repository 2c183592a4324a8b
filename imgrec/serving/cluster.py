"""What a user may ask of Ray Serve; read by help, so nothing heavy is imported."""

from dataclasses import dataclass
from typing import Literal

from imgrec.errors import InputError


@dataclass(frozen=True)
class ClusterSettings:
    """Replicas of the server by Ray Serve, here or on the machines of a cluster."""

    engine: Literal["plain", "ray"] = "plain"
    """Who runs the server: this command, or Ray Serve (extra ray), which takes twenty seconds to start."""
    replicas: int = 0
    """Of Ray: servers that share nothing, each with --workers of its own, by default one; 0 for two."""
    most_replicas: int = 0
    """Of Ray: load brings more replicas, up to so many, and they go again; 0 for a fixed number."""
    address: str = ""
    """Of a running Ray cluster, whose machines see the same --run; by default one is started here."""

    def __post_init__(self) -> None:
        if self.replicas < 0 or self.most_replicas < 0 or 0 < self.most_replicas < self.least_replicas:
            raise InputError(
                f"--replicas {self.replicas} --most-replicas {self.most_replicas}: expected 0 or more, "
                "and at most as many as --most-replicas"
            )
        given = {"address": self.address, "replicas": self.replicas, "most-replicas": self.most_replicas}
        for name, value in given.items():
            if value and self.engine == "plain":
                raise InputError(f"--{name} {value}: of what? Give --engine ray, too")

    @property
    def least_replicas(self) -> int:
        """How many there are at first."""
        return self.replicas or 2
