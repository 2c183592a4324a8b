"""What a user may ask of comparing versions; read by help, so nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgrec.errors import InputError


@dataclass(frozen=True)
class TrialSettings:
    """What is remembered of answers, and who decides between two versions of a store."""

    journal: Path = Path()
    """A folder in which answers, feedback and decisions are written down, never pictures; none by default."""
    journal_megabytes: int = 1024
    """Of the journal; its oldest part is deleted first."""
    decide: Literal["tell", "act"] = "tell"
    """Whether a verdict between two versions is only told, or the better one promoted and a worse one rolled
    back, once for each pair."""
    decide_after: int = 200
    """Requests with feedback from which on --decide act may act."""
    alpha: float = 0.05
    """Chance that equal versions are ever called different, however long and often one looks."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InputError(f"--alpha {self.alpha:g}: expected a chance above 0 and below 1")
        if self.journal_megabytes < 1 or self.decide_after < 1:
            raise InputError(
                f"--journal-megabytes {self.journal_megabytes} --decide-after {self.decide_after}: "
                "expected 1 or more"
            )
