"""What is asked of an explanation, and what it gives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.runtimes import Runtime
from imgrec.tasks.task import Task

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Asked:
    """Pictures, each with the class whose score is to be explained.

    runtime: what answers.
    task: what its outputs mean.
    images: uint8 `[N, H, W, C]`, as `Preprocess` gives them; N ≥ 1.
    classes: int `[N]`: for each picture the place of a class in `task.classes`.
    """

    runtime: Runtime
    task: Task
    images: NDArray[np.uint8]
    classes: NDArray[np.integer]

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the pictures, and of their maps."""
        return self.images.shape[1], self.images.shape[2]

    def network(self, method: str) -> "keras.Model":
        """Return the Keras model that answers, for the explanation called `method`.

        Raises:
            InputError: a file answers, which has neither layers to look into nor gradients.
        """
        if self.runtime.model is None:
            raise InputError(
                f"--explain {method}: {self.runtime.name} is a file, which has no gradients; name "
                "the run folder that it came from, or take occlusion, which any file can answer"
            )
        return self.runtime.model

    def score_of(self, images: NDArray[np.uint8], index: int) -> NDArray[np.float32]:
        """Return the score of the class of picture `index`, for each of other images, float32 `[M]`."""
        scores = self.runtime.scores_of(self.runtime.answer(images), self.task)
        return scores[:, int(self.classes[index])]


@dataclass(frozen=True)
class Maps:
    """A map for each picture, and what is to be said of it.

    method: the explanation with its settings written out, such as `gradcam(endpoint=stage3)`.
    values: float32 `[N, H, W]` over the model's pictures; the higher, the more a place speaks for the class.
        Zero is where it says nothing; what is below speaks against it.
    notes: for each picture what a reader has to know beside it, or empty.
    about_class: whether the map is of one class; else of the picture as a whole.
    grain: how much finer the values are than the eye: a share of the highest that is shown as one, 0…1.
    """

    method: str
    values: NDArray[np.float32]
    notes: tuple[str, ...]
    about_class: bool = True
    grain: float = 0.0
