"""`unknown.npz`: a detector in its run folder, read without pickle and checked number by number."""

from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.files import write_file
from imgrec.guards.arrays import read_arrays
from imgrec.unknown.detector import ANY, BEST, WIDEST, Detector, least
from imgrec.unknown.gaussians import AXES, Gaussian, Known
from imgrec.unknown.scores import SOURCES

FILE = "unknown.npz"
MOST_BYTES = 256_000_000
"""Of all arrays inside, unpacked: 1,000 classes of 4,096 features take 25 million."""
MOST_VALIDATION = 100_000
_GAUSSIANS = ("within", "overall")


def write(folder: Path, detector: Detector) -> None:
    """Write `unknown.npz`: each score's values, both Gaussians, the rate of false alarms."""
    arrays: dict[str, NDArray[np.generic]] = {
        "false_alarms": np.array([detector.false_alarms], np.float64),
        "images": np.array([detector.images], np.int64),
    }
    arrays |= {f"validation_{name}": values for name, values in detector.validation.items()}
    if detector.known is not None:
        arrays["scales"] = detector.known.scales
        for name, part in zip(_GAUSSIANS, (detector.known.within, detector.known.overall), strict=True):
            arrays |= {
                f"{name}_means": part.means,
                f"{name}_axes": part.axes,
                f"{name}_variances": part.variances,
                f"{name}_rest": np.array([part.rest], np.float32),
            }
    write_file(folder / FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def read(folder: Path, outputs: int) -> Detector | None:
    """Return the detector of a run folder; None where it has none.

    Args:
        folder: of the run.
        outputs: of its model, the classes.

    Raises:
        InputError: the file is damaged, or holds anything that `write` does not write.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    return _Reader(path, read_arrays(path, MOST_BYTES)).detector(outputs)


class _Reader:
    """Arrays of a file, each checked; nothing is taken on trust, and nothing unknown is passed over."""

    def __init__(self, path: Path, held: dict[str, NDArray[np.generic]]) -> None:
        self.path, self.held = path, held

    def detector(self, outputs: int) -> Detector:
        rate = float(self.array("false_alarms", "f", (1,))[0])
        images = int(self.array("images", "i", (1,))[0])
        if not 0 < rate < 0.5 or images < 1:
            self.fail(
                f"false_alarms {rate:g}, images {images}", "a rate above 0 and below ½, 1 or more images"
            )
        names = [name.removeprefix("validation_") for name in self.held if name.startswith("validation_")]
        validation = {name: self.ordered(name, rate) for name in SOURCES if name in names}
        known = self.known(outputs) if f"{_GAUSSIANS[0]}_means" in self.held else None
        needed = {ANY, BEST} if known else {ANY}
        sizes = {len(values) for values in validation.values()}
        for strange in sorted(set(names) - set(SOURCES)):
            self.fail(f"a score {strange[:40]!r}", f"those of this version: {', '.join(SOURCES)}")
        if needed - set(names) or len(sizes) != 1:
            self.fail(
                f"scores {', '.join(names)[:80]} of {sizes} images", f"{', '.join(needed)}, of one number"
            )
        if self.held:
            self.fail(f"{min(self.held)[:40]!r} inside", "nothing of that name")
        return Detector(known, validation, rate, images)

    def ordered(self, name: str, rate: float) -> NDArray[np.float32]:
        """Values of a score, as many as the rate needs, rising."""
        values = self.array(f"validation_{name}", "f", None)
        if (
            values.ndim != 1
            or not least(rate) <= len(values) <= MOST_VALIDATION
            or (np.diff(values) < 0).any()
        ):
            self.fail(f"validation_{name} of shape {values.shape}", f"{least(rate)} or more rising numbers")
        return values.astype(np.float32, copy=False)

    def known(self, outputs: int) -> Known:
        within, overall = (self.gaussian(name) for name in _GAUSSIANS)
        if len(within.means) > outputs or len(overall.means) != 1 or within.axes.shape != overall.axes.shape:
            self.fail(
                f"means of shapes {within.means.shape} and {overall.means.shape}",
                f"those of {outputs} classes at most and of all, of as many features",
            )
        scales = self.array("scales", "f", (2, 2))
        if scales[:, 1].min() <= 0:
            self.fail("scales: a spread of 0 or less", "spreads above 0")
        return Known(within, overall, scales.astype(np.float64, copy=False))

    def gaussian(self, name: str) -> Gaussian:
        means = self.array(f"{name}_means", "f", None)
        if means.ndim != 2 or not len(means) or not 1 <= means.shape[1] <= WIDEST:
            self.fail(f"{name}_means of shape {means.shape}", f"[classes, features], {WIDEST} at most")
        width = means.shape[1]
        kept = min(width, AXES)
        axes = self.array(f"{name}_axes", "f", (width, kept))
        variances = self.array(f"{name}_variances", "f", (kept,))
        rest = self.array(f"{name}_rest", "f", (1,))
        if variances.min() <= 0 or rest[0] <= 0:
            self.fail(f"{name}: a variance of 0 or less", "variances above 0")
        whole = axes.astype(np.float64)
        if np.abs(whole.T @ whole - np.eye(kept)).max() > 1e-3:
            self.fail(f"{name}_axes that are no axes", "orthonormal columns")
        means, axes, variances = (part.astype(np.float32) for part in (means, axes, variances))
        return Gaussian(means, axes, variances, float(rest[0]))

    def array(self, name: str, kind: str, shape: tuple[int, ...] | None) -> NDArray[np.generic]:
        """Take an array out of the file: finite numbers of a kind, of a shape where one is asked for."""
        part = self.held.pop(name, None)
        if part is None:
            self.fail(f"no {name}", "what training wrote")
        if part.dtype.kind != kind or (shape is not None and part.shape != shape):
            self.fail(f"{name} is {part.dtype} of shape {part.shape}", f"{kind} of shape {shape}")
        if not np.isfinite(part).all():
            self.fail(f"{name} holds NaN or infinity", "finite numbers")
        return part

    def fail(self, found: str, expected: str) -> NoReturn:
        raise InputError(f"{self.path}: {found}, expected {expected}; restore the folder")
