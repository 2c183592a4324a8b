"""A trained model calibrated: what is fitted on its validation images, and what they are too few for.

One half of them, drawn by the seed, fits how logits are scaled; the other, which scaling never saw, the
thresholds of prediction sets and of abstention, whose promises hold for such images then. The epoch was
chosen by all of them, which no division undoes: the report measures on test images what came of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from imgrec.config import Config
from imgrec.config.calibration import CalibrationConfig
from imgrec.errors import InputError
from imgrec.metrics import conformal, scaling, selective
from imgrec.metrics.intervals import CONFIDENCE
from imgrec.spec import Spec, number_option
from imgrec.tasks.calibration import WANTED, Abstention, Calibration, Scaling, Sets
from imgrec.tasks.task import Outputs, Task

ENOUGH = 100
"""Images of each half that `auto` asks for: a temperature is then known to about ± 15 %, coverage to ± 6
points."""
FEWEST = 20
"""Images of the first half that may be asked to fit a temperature by name; its interval says how well."""
FEWEST_A_CLASS = 20
"""The same of a vector, for each class."""
_CHI_SQUARED = 3.841
"""Twice the gain in log-likelihood that one parameter more exceeds by chance in one of twenty cases."""
_LARGEST = 14.0
_GRID = 400


@dataclass
class _Fitting:
    """Validation images, what the model gives for them, and what is to be said."""

    task: Task
    settings: CalibrationConfig
    seed: int
    outputs: Outputs
    labels: np.ndarray
    notes: list[str] = field(default_factory=list)

    @property
    def exclusive(self) -> bool:
        return self.task.labels == "class"

    def truth(self, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        """0 or 1 for each class, `[n, C]`."""
        own = self.labels[chosen]
        return np.eye(self.task.outputs)[own] if self.exclusive else np.asarray(own, np.float64)


def check(config: Config, task: Task, images: int) -> None:
    """Refuse, before anything is trained, what so many validation images cannot give.

    Raises:
        InputError: names the setting, how many images it needs, and what to do.
    """
    settings = config.calibration
    if settings.calibrate not in ("auto", "none") and not task.activation:
        raise InputError(f"--calibrate {settings.calibrate}: a {task.name} model gives no probabilities")
    fits = settings.calibrate in ("temperature", "vector")
    first, second = images // 2, images - images // 2
    needed = FEWEST if settings.calibrate == "temperature" else FEWEST_A_CLASS * task.outputs
    if fits and first < needed:
        raise InputError(
            f"--calibrate {settings.calibrate}: fitted on half of the validation images, {first} here; "
            f"expected {needed} or more: leave it out, or give more validation images"
        )
    if settings.prediction_sets not in ("auto", "none"):
        _enough(f"--coverage {settings.coverage:g}", conformal.least(settings.coverage), second, images)
    if asked := read_abstain(settings.abstain):
        wanted, value, confidence = asked
        least = selective.least(value if wanted == "risk" else 1 - value, confidence)
        _enough(f"--abstain {settings.abstain}", least, second, images)


def _enough(asked: str, least: int, found: int, images: int) -> None:
    if found < least:
        raise InputError(
            f"{asked}: needs {least} images to promise it, and half of the {images} validation images are "
            f"{found}: ask for less, or give more validation images"
        )


def read_abstain(text: str) -> tuple[str, float, float] | None:
    """Return what `--abstain` asks for: risk or coverage, its value, and the confidence of the promise.

    None where it asks for nothing.

    Raises:
        InputError: anything else, or a share that is none.
    """
    if text == "none":
        return None
    spec = Spec.parse(text, "--abstain")
    known = set(spec.options) <= {"confidence"} and len(spec.args) == 1
    if spec.name not in WANTED or not known:
        raise InputError(f"--abstain {text}: expected none, risk(0.05) or coverage(0.8)")
    value = number_option(f"--abstain {spec.name}", spec.args[0], 0.001, 0.999)
    confidence = number_option(
        "--abstain confidence", spec.options.get("confidence", CONFIDENCE), 0.5, 0.9999
    )
    return spec.name, value, confidence


def asks(settings: CalibrationConfig, task: Task) -> bool:
    """Whether there is anything to fit: settings that leave all of it out cost no answer."""
    asked = {settings.calibrate, settings.prediction_sets, settings.abstain} - {"none"}
    return bool(task.activation and asked)


def fit(
    task: Task, settings: CalibrationConfig, seed: int, outputs: Outputs, labels: np.ndarray
) -> tuple[Task, list[str]]:
    """Return the task with what the settings ask for, and what is to be said of it, a line each.

    Args:
        task: as it was trained, without a calibration.
        settings: what to fit.
        seed: divides the images into halves.
        outputs: of the trained model for the validation images, float32 `[N, outputs]`.
        labels: theirs, as `Split.labels` has them.
    """
    if not task.activation or not np.isfinite(outputs).all():
        return task, []
    given = _Fitting(task, settings, seed, outputs, labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    half = len(labels) // 2
    scaled = _scaling(given, order[:half])
    # Images that no scaling was looked for on are all there for the thresholds.
    rest = order[half:] if _looks(given, half) else order
    task = replace(task, calibration=Calibration(scaled))
    found = Calibration(scaled, _sets(given, task, rest), _abstention(given, task, rest))
    if found == Calibration():
        return replace(task, calibration=None), given.notes
    given.notes.append("calibrated on validation images, which chose the epoch too: see the report's figures")
    return replace(task, calibration=found), given.notes


def _looks(given: _Fitting, half: int) -> bool:
    asked = given.settings.calibrate
    return asked != "none" and (asked != "auto" or half >= ENOUGH)


def _scaling(given: _Fitting, chosen: NDArray[np.intp]) -> Scaling | None:
    """Fit temperature, or a vector where that is asked for and better."""
    asked, images = given.settings.calibrate, len(chosen)
    if not _looks(given, images):
        if asked == "auto":
            given.notes.append(
                f"probabilities are not calibrated: half of the {len(given.labels)} validation images are "
                f"{images}, {ENOUGH} needed; --calibrate temperature does it with fewer"
            )
        return None
    logits, truth = given.outputs[chosen], given.truth(chosen)
    if given.task.right(given.task.scores(logits), given.labels[chosen]).all():
        given.notes.append(f"not calibrated: {images} validation images have no mistake to learn from")
        return None
    best, interval = scaling.temperature(logits, truth, given.exclusive)
    degrees = float(f"{1 / best.factor[0]:.6g}")
    if not 1.01 * scaling.LIMITS[0] < degrees < 0.99 * scaling.LIMITS[1]:
        given.notes.append(f"not calibrated: {images} validation images ask for a temperature of {degrees:g}")
        return None
    before, after = (
        float(scaling.losses(each(logits), truth, given.exclusive).mean()) for each in (scaling.NOTHING, best)
    )
    terms = len(truth) if given.exclusive else truth.size
    told = f"{degrees:.3g} (95 % {interval[0]:.3g} to {interval[1]:.3g}) from {images:,} validation images"
    if asked == "auto" and 2 * terms * (before - after) < _CHI_SQUARED:
        given.notes.append(f"temperature {told}: no different from 1, left as it is")
        return None
    if asked == "vector" and (many := _vector(given, logits, truth)):
        return many
    given.notes.append(f"temperature {told}: {before:.4f} → {after:.4f} nats there")
    return Scaling((1 / degrees,), (), images, tuple(interval))


def _vector(given: _Fitting, logits: Outputs, truth: NDArray[np.float64]) -> Scaling | None:
    """Fit a vector; None where cross-validation does not show that it beats temperature."""
    gain, error = scaling.gain(logits, truth, given.exclusive, given.seed)
    told = (
        f"vector scaling against temperature, cross-validated: {gain:+.4f} nats fewer, ± {1.96 * error:.4f}"
    )
    if gain <= 1.96 * error:
        given.notes.append(f"{told}: not shown to be better, temperature is taken")
        return None
    given.notes.append(f"{told}: taken")
    best = scaling.vector(logits, truth, given.exclusive)
    return Scaling(tuple(map(float, best.factor)), tuple(map(float, best.shift)), len(logits))


def _sets(given: _Fitting, task: Task, chosen: NDArray[np.intp]) -> Sets | None:
    """Fit the threshold of prediction sets; one class an image alone has them."""
    asked, coverage, images = given.settings.prediction_sets, given.settings.coverage, len(chosen)
    if asked == "none" or not given.exclusive:
        return None
    least = conformal.least(coverage)
    if images < (max(ENOUGH, least) if asked == "auto" else least):
        given.notes.append(
            f"no prediction sets: {images} validation images for their threshold, {max(ENOUGH, least)} "
            f"needed; --prediction-sets lac makes them from {least} on"
        )
        return None
    method = "lac" if asked == "auto" else asked
    labels, scores = given.labels[chosen], task.scores(given.outputs[chosen])
    limit = conformal.threshold(conformal.misfit(scores, labels, method), coverage)
    size = conformal.members(scores, method, limit).sum(axis=1).mean()
    given.notes.append(
        f"sets of {100 * coverage:g} % ({method}): {size:.2f} classes on average, threshold from {images:,} "
        "other images"
    )
    return Sets(method, coverage, limit, images)


def _abstention(given: _Fitting, task: Task, chosen: NDArray[np.intp]) -> Abstention | None:
    """Fit the threshold below which no answer is given, where one is asked for."""
    asked = read_abstain(given.settings.abstain)
    decided = task.decisions(task.scores(given.outputs[chosen]), given.labels[chosen])
    if asked is None or decided is None or not given.exclusive:
        return None
    (wanted, value, confidence), (sure, hit) = asked, decided
    thresholds: dict[str, Callable[[], float | None]] = {
        "risk": lambda: selective.for_risk(sure, hit, grid(task.outputs), value, confidence),
        "coverage": lambda: selective.for_coverage(sure, value, confidence),
    }
    limit = thresholds[wanted]()
    if limit is None:
        given.notes.append(
            f"--abstain {given.settings.abstain}: {len(chosen):,} validation images show no threshold to "
            "hold it: every answer is given"
        )
        return None
    answered = sure >= np.float32(limit)
    given.notes.append(
        f"abstains below {limit:.4f}: {100 * answered.mean():.1f} % of {len(chosen):,} validation images are "
        f"answered, {100 * (1 - hit[answered].mean()):.1f} % of these wrong"
    )
    return Abstention(wanted, value, confidence, limit, len(chosen))


def grid(classes: int) -> NDArray[np.float64]:
    """Return the thresholds that are tried, from chance to all but certain, whatever the images."""
    lowest = -np.log(max(classes - 1, 1))
    return np.asarray(1 / (1 + np.exp(-np.linspace(lowest, _LARGEST, _GRID))), np.float64)
