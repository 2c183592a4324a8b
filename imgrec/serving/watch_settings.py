"""What a user may ask of logs and of watching for drift; read by help, so nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgrec.errors import InputError


@dataclass(frozen=True)
class WatchSettings:
    """What is written down, and when a change of the pictures is an alarm."""

    log: Literal["json", "text", "off"] = "off"
    """One line for each request, never with a picture; off leaves alarms alone, as JSON."""
    log_file: Path = Path()
    """Where lines are appended; by default they go to stderr."""
    log_rate: int = 1000
    """Lines a second at most; how many were left out is said in a line of its own."""
    drift_false_alarms: float = 0.05
    """Chance of a false alarm about the pictures or answers within --drift-horizon requests."""
    drift_horizon: int = 10_000
    """Requests of a period of watching; after it the watch begins anew."""

    def __post_init__(self) -> None:
        if self.log_rate < 1:
            raise InputError(f"--log-rate {self.log_rate}: expected 1 line a second or more")
        if not 0 < self.drift_false_alarms < 1 or self.drift_horizon < 1:
            raise InputError(
                f"--drift-false-alarms {self.drift_false_alarms:g} --drift-horizon {self.drift_horizon}: "
                "expected a chance above 0 and below 1, within 1 request or more"
            )
