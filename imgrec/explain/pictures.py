"""From an image file's bytes to the picture of what an answer rests on: for `predict` and for serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgrec import bundle, runtimes
from imgrec.data.decode import decode
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.explain import overlay
from imgrec.explain.asked import Asked
from imgrec.explain.methods import AUTO, explain, parse
from imgrec.registry import lookup
from imgrec.runtimes import Runtime
from imgrec.spec import Spec
from imgrec.tasks.classes import ClassTask
from imgrec.tasks.task import Task

SAYS = "none … most for the class"
SAYS_OF_ALL = "least … most attended"


@dataclass(frozen=True)
class Picture:
    """A picture with the map of one answer over it.

    png: the bytes of a PNG file, of the original picture's size (small ones enlarged by a whole number) and a
        legend below.
    name: the explanation's, such as `gradcam`.
    method: the same with its settings.
    label: the class explained; score: its score, 0…1.
    note: what a reader has to know beside it, or empty.
    """

    png: bytes
    name: str
    method: str
    label: str
    score: float
    note: str

    def record(self) -> dict[str, Any]:
        """Return all but the bytes and the short name, ready for JSON."""
        return {"method": self.method, "label": self.label, "probability": self.score, "note": self.note}


class Explainer:
    """Draws what the answers of one runtime rest on.

    Attributes:
        runtime: what answers.
        specs: the explanations, a picture each.
    """

    def __init__(self, runtime: Runtime, preprocess: Preprocess, task: Task, line: str = AUTO) -> None:
        """Take what answers and the explanations, such as `gradcam|occlusion(window=8)`.

        Raises:
            InputError: an unknown explanation, or a task whose answers are not about classes.
        """
        if not isinstance(task, ClassTask):
            raise InputError(f"--explain: explains answers about classes, and {runtime.name} is {task.name}")
        self.runtime, self.specs = runtime, parse(line)
        self._preprocess, self._task = preprocess, task

    @classmethod
    def of_run(cls, run: Path, line: str = AUTO) -> "Explainer":
        """Load a run folder's Keras model, which has gradients. Raises as `bundle.load` and the class."""
        held = bundle.load(run)
        return cls(runtimes.of_model(held.model), held.preprocess, held.task, line)

    def pictures(self, data: bytes, label: str = "", name: str = "image") -> list[Picture]:
        """Explain the answer for an image file, a picture for each of `specs`.

        Args:
            data: bytes of the file.
            label: the class to explain; by default the one with the highest score.
            name: stands in messages.

        Raises:
            InputError: no image, an unknown class, or an explanation that cannot be given of what answers.
        """
        original = decode(data, self._preprocess.max_pixels, name, self._preprocess.bits)
        image = self._preprocess.on_array(original)[None]
        scores = self.runtime.scores_of(self.runtime.answer(image), self._task)[0]
        chosen = self.check(label) if label else int(scores.argmax())
        asked = Asked(self.runtime, self._task, image, np.array([chosen]))
        return [self._drawn(asked, spec, original, float(scores[chosen])) for spec in self.specs]

    def check(self, label: str) -> int | None:
        """Return the place of a class among the outputs; None of an empty name, the best answer's.

        Raises:
            InputError: an unknown class; the message has the nearest.
        """
        return (
            lookup({name: place for place, name in enumerate(self._task.classes)}, label, "class")
            if label
            else None
        )

    def _drawn(self, asked: Asked, spec: Spec, original: np.ndarray, score: float) -> Picture:
        maps = explain(asked, spec)
        size = (original.shape[0], original.shape[1])
        heat = overlay.strength(maps.values[0], maps.grain)
        back = overlay.brought_back(heat, self._preprocess.placed(*size), size)
        painted = overlay.painted(*overlay.enlarged(original, back))
        label = self._task.classes[int(asked.classes[0])]
        lines = legend(label, score, maps.method, maps.notes[0])
        whole = overlay.with_legend(painted, lines, SAYS if maps.about_class else SAYS_OF_ALL)
        name = Spec.parse(maps.method).name
        return Picture(overlay.to_png(whole), name, maps.method, label, score, maps.notes[0])


def legend(label: str, score: float, method: str, note: str) -> Sequence[str]:
    """Return the lines below a picture: the class explained, how, and the note, where there is one."""
    return [f"{label}  {100 * score:.1f} %", method, *([note] if note else [])]
