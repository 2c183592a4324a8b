"""How often a training is saved: `--checkpoint-every 25`, `10m` or `1e`."""

import re
from dataclasses import dataclass

from imgrec.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A distance between checkpoints; the one of steps, seconds and epochs that is not 0 counts."""

    steps: int = 0
    seconds: float = 0.0
    epochs: int = 0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read `25` (steps), `10m` (minutes) or `1e` (epochs).

        Raises:
            InputError: something else, or nothing more than 0.
        """
        found = re.fullmatch(r"(\d+)(e?)|(\d+(?:\.\d+)?)m", text.strip())
        if not found or not any(float(number) for number in found.group(1, 3) if number):
            raise InputError(f"--checkpoint-every {text}: expected steps (25), minutes (10m) or epochs (1e)")
        count, epochs, minutes = found.groups()
        if minutes:
            return cls(seconds=60 * float(minutes))
        return cls(epochs=int(count)) if epochs else cls(steps=int(count))

    def is_due(self, steps: int, seconds: float, epochs: int) -> bool:
        """Whether that much since the last checkpoint is enough for the next."""
        return (
            0 < self.steps <= steps or 0 < self.seconds <= seconds or 0 < self.epochs <= epochs
        ) and steps > 0
