"""A model as it is measured, with all that its answers depend on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.tasks.task import Task

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Subject:
    """A model with all that its answers depend on.

    batch_size: images at a time; figures are equal to the last digit where this is equal too.
    """

    model: "keras.Model"
    task: Task
    preprocess: Preprocess
    batch_size: int

    def answers(self, split: Split) -> NDArray[np.float32]:
        """Return the model's outputs for every image of `split`, float32 `[N, outputs]`."""
        from imgrec.data.pipeline import evaluation_dataset

        images = evaluation_dataset(split, self.preprocess, self.task.targets, self.batch_size)
        return np.asarray(self.model.predict(images, verbose=0))
