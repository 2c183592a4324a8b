"""How many answers stand attacks by the model's own gradient: a section of the report, asked for by name."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.loading import load_arrays
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.robustness import chosen
from imgrec.evaluation.robustness.attacks import Ball, Descent, Gradient, Images, attacks_of, gradient_of, pgd
from imgrec.evaluation.robustness.progress import Progress
from imgrec.evaluation.subject import Subject
from imgrec.metrics.intervals import wilson_interval
from imgrec.phrases import Phrase

_UNBOUNDED = 256
"""So many images are attacked without a bound: enough to see a masked gradient."""
_L2_SHARE = 1 / 3
"""Of ε √values: how far 0.5 (of pixels of 0…1) is from 8/255 on CIFAR-10, and 3 from 4/255 on ImageNet."""
_BYTES = 255.0


def attacks(
    given: Evaluated,
    epsilon: Any = (1, 2, 4),
    l2: float | None = None,
    steps: int = 20,
    images: int = 500,
    seed: int = 0,
) -> Section:
    """The accuracy under FGSM and PGD, and whether the gradient can be trusted.

    Args:
        given: with model and images.
        epsilon: largest change of a pixel's value in levels of 0…255; several as a sequence.
        l2: radius of PGD in the L2 norm, in levels; by default a third of ε √values.
        steps: of PGD.
        images: so many of the split, drawn by `seed`.
        seed: of the draws.

    Raises:
        InputError: an option out of range.
    """
    subject, whole = chosen.subject_of(given, "attacks")
    strengths = epsilon if isinstance(epsilon, (tuple, list)) else (epsilon,)
    named = (
        (f"epsilon={strength}", strength) for strength in (*strengths, *((l2,) if l2 is not None else ()))
    )
    for text, strength in named:
        if (
            isinstance(strength, bool)
            or not isinstance(strength, (int, float))
            or not 0 < strength <= _BYTES * 1e3
        ):
            raise InputError(f"attacks({text}): expected levels of 0…255 above 0, such as epsilon=2")
    if not strengths:
        raise InputError("attacks(epsilon=[]): expected one strength or more")
    chosen.whole("attacks", "steps", steps, 1)
    split = chosen.some_of(whole, images, seed, "attacks")
    attacked = _Attacked(
        subject, load_arrays(split, subject.preprocess), split.labels, 3 * len(strengths) + 1
    )
    values = math.prod(subject.preprocess.shape)
    rows = []
    for strength in sorted(strengths):
        radius = l2 if l2 is not None else strength * math.sqrt(values) * _L2_SHARE
        kinds = attacks_of(strength, radius, steps, seed)
        told = {name: attacked.by(f"{name} {strength}", attack) for name, attack in kinds.items()}
        rows.append({"epsilon": strength, "l2_radius": radius, **told})
    boundless = attacked.boundless(Descent(steps, seed=seed))
    figures = {
        "images": len(split),
        "steps": steps,
        "seed": seed,
        "clean": attacked.figures(attacked.pixels),
        "strengths": rows,
        "unbounded": boundless,
        "doubts": _doubts(rows, boundless),
    }
    data = {"told": figures, "share": given.task.share}
    return Section(Phrase("Under attack"), "attacks.html.j2", data, {"attacks": figures})


class _Attacked:
    """Images whose answers are attacked, a batch at a time."""

    def __init__(self, subject: Subject, pixels: NDArray[np.uint8], labels: Any, attacks: int) -> None:
        self.subject, self.labels = subject, labels
        self.pixels: Images = pixels.astype(np.float32)
        self.gradient: Gradient = gradient_of(subject)
        self.progress = Progress("attacks", attacks)

    def by(self, name: str, attack: Callable[..., Images]) -> dict[str, Any]:
        """Return what is right of all images after an attack, with pixels as it made them and as bytes."""
        moved = self._moved(attack, len(self.pixels))
        self.progress.step(name)
        return {**self.figures(moved), "rounded": self.figures(np.rint(moved))}

    def boundless(self, descent: Descent) -> dict[str, Any]:
        """Return the same of the first images where every value may become any other."""
        count = min(_UNBOUNDED, len(self.pixels))
        moved = self._moved(partial(pgd, ball=Ball("linf", _BYTES), descent=descent), count)
        self.progress.step("unbounded")
        return {"images": count, **self.figures(moved)}

    def _moved(self, attack: Callable[..., Images], count: int) -> Images:
        size = self.subject.batch_size
        parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
        return np.concatenate([attack(self.gradient, self.pixels[part], self.labels[part]) for part in parts])

    def figures(self, images: Images) -> dict[str, Any]:
        """Return the accuracy on `images`, the first of them or all, with its interval."""
        task, size = self.subject.task, self.subject.batch_size
        outputs = np.asarray(self.subject.model.predict(images, batch_size=size, verbose=0))
        right = int(task.right(task.scores(outputs), self.labels[: len(images)]).sum())
        return {"accuracy": right / len(images), "interval_95": wilson_interval(right, len(images))}


def _doubts(rows: Sequence[dict[str, Any]], boundless: dict[str, Any]) -> list[Phrase]:
    """Return what speaks against the gradient: attacks that should win and do not.

    Signs of a masked gradient: Athalye, Carlini and Wagner, "Obfuscated gradients give a false sense of
    security", ICML 2018, section 3.1.
    """
    doubts = [
        Phrase(
            "with ε = {epsilon} many small steps (PGD) find less than one large one (FGSM)",
            epsilon=row["epsilon"],
        )
        for row in rows
        if row["pgd"]["accuracy"] > row["fgsm"]["accuracy"]
    ]
    if boundless["accuracy"] > 0:
        doubts.append(Phrase("where every pixel may become any other, some answers are still right"))
    return doubts
