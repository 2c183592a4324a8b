"""Steps that mend an image before the model sees it, each triggered by the image's own statistics.

One line composes them: `lowlight|dehaze`. A step looks at what the steps before it left; where its
statistic does not pass its threshold the image stays as it is, bit for bit. A number in brackets moves
the threshold: `lowlight(100)`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from imgrec.data.adapt import light, statistics
from imgrec.data.adapt.grain import denoise
from imgrec.data.adapt.haze import dehaze
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.spec import Spec, parse_line

Mend = Callable[[np.ndarray], np.ndarray]
"""uint8 `[h, w, 1|3]` → the same shape and type."""
Statistic = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Step:
    """What a step does, and when: where `statistic` is below (or above) `threshold`; always without one."""

    name: str
    mend: Mend
    statistic: Statistic | None = None
    side: str = ""
    threshold: float = 0.0

    def fires(self, pixels: np.ndarray) -> bool:
        """Whether the image's statistic passes the threshold."""
        if self.statistic is None:
            return True
        level = self.statistic(pixels)
        return level < self.threshold if self.side == "below" else level > self.threshold

    def __str__(self) -> str:
        return self.name if self.statistic is None else f"{self.name}({self.threshold:g})"


# Thresholds are levels of 0…255, set on the sample's training images and photographs, and reported on others
# by `python -m benchmarks.adapt`.
_STEPS = (
    Step("lowlight", light.expose, statistics.bright, "below", 128),
    Step("gamma", light.gamma, statistics.bright, "below", 128),
    Step("equalize", light.equalize, statistics.bright, "below", 128),
    Step("clahe", light.clahe, statistics.bright, "below", 128),
    Step("dehaze", dehaze, statistics.veil, "above", 72),
    Step("stretch", light.stretch_contrast, statistics.contrast, "below", 64),
    Step("balance", light.white_balance, statistics.cast, "above", 64),
    Step("denoise", denoise, statistics.noise, "above", 12),
    Step("standardize", light.standardize),
)
STEPS = {step.name: step for step in _STEPS}
AUTO = "lowlight|dehaze"
"""What `auto` stands for: the two whose gain was measured."""


@lru_cache(maxsize=64)
def parse(line: str) -> tuple[Step, ...]:
    """Read a line of steps such as `lowlight|dehaze(80)`; `none` and an empty line are no step.

    Raises:
        InputError: an unknown step (the known and the nearest are listed), one that is named twice, or a
            threshold that is no number of 0…255 or belongs to a step without one.
    """
    if line.strip() in ("", "none"):
        return ()
    specs = parse_line(AUTO if line.strip() == "auto" else line, "adaptive steps")
    steps = tuple(_step(spec, line) for spec in specs)
    names = [step.name for step in steps]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"adaptive steps {line!r}: {twice[0]} is named twice; name it once")
    return steps


def _step(spec: Spec, line: str) -> Step:
    step = lookup(STEPS, spec.name, "adaptive step")
    if spec.options or len(spec.args) > 1:
        raise InputError(f"adaptive steps {line!r}: {spec}, expected name or name(threshold), such as {AUTO}")
    if not spec.args:
        return step
    if step.statistic is None:
        raise InputError(f"adaptive steps {line!r}: {spec.name} is always done and takes no threshold")
    (level,) = spec.args
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 <= level <= 255:
        raise InputError(
            f"adaptive steps {line!r}: threshold {level!r} of {spec.name}, expected a level of 0 to 255"
        )
    return replace(step, threshold=float(level))


def canonical(line: str) -> str:
    """Return the line with every threshold written out, as preprocess.json records it; `none` for no step."""
    return "|".join(map(str, parse(line))) or "none"


def apply(pixels: np.ndarray, line: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Run the steps of `line` on uint8 `[h, w, 1|3]`; return the image and the names that fired."""
    fired = []
    for step in parse(line):
        if step.fires(pixels):
            pixels = step.mend(pixels)
            fired.append(step.name)
    return pixels, tuple(fired)
