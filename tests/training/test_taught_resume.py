"""A training with a teacher and a hint goes on as if it had not been stopped, its regressor too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_training import OPTIM, At, assert_same, keep, network, stream, train, validation

from imgrec.data.preprocess import Preprocess
from imgrec.learning.distillation import Distilled
from imgrec.learning.teachers import Teacher
from imgrec.losses.taught import SoftTargets
from imgrec.training.fit import Phase


class Numbers(Teacher):
    """A teacher of numbers, which are no images to be resized."""

    def seen(self, images: Any) -> Any:
        return images


def teacher() -> Teacher:
    keras.utils.set_random_seed(5)
    given = keras.Input((6,))
    x = keras.layers.Dense(5, activation="relu", name="features")(given)
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(x), name="teacher")
    return Numbers(model, Preprocess(size=(6, 6)), (1, 0))


def begun() -> tuple[keras.Model, list[Phase], Distilled]:
    """The student, drawn anew, and how it learns."""
    given = teacher()
    model = network()
    labels = keras.losses.CategoricalCrossentropy(from_logits=True)
    part = Distilled(model, labels, SoftTargets(2.0), 0.7, [given], [("features", "features")])
    return model, [Phase(stream(3), validation(), 3, part=part)], part


@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"ema": 0.6, "accumulate": 2}, marks=pytest.mark.slow)],
    ids=["plain", "averaged"],
)
def test_a_stopped_training_goes_on_with_its_regressor(tmp_path: Path, settings: dict[str, Any]) -> None:
    optim = replace(OPTIM, epochs=3, layer_decay=1.0, momentum=0.9, **settings)
    model, phases, part = begun()
    first = np.array(keras.ops.convert_to_numpy(part.followers[0].kernel))
    whole = train(phases, None, model, optim=optim)
    learned = keras.ops.convert_to_numpy(part.followers[0].kernel)
    assert not np.array_equal(first, learned)
    for place in ((0, 3), (1, 2)):
        model, phases, _ = begun()
        with pytest.raises(SystemExit):
            train(phases, keep(tmp_path), model, optim=optim, callbacks=[At(*place)])
    model, phases, part = begun()
    assert_same(train(phases, keep(tmp_path), model, optim=optim), whole)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(part.followers[0].kernel), learned)
    # The model has no trace of it.
    assert not any("hint" in variable.path for variable in model.variables)
