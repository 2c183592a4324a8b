"""Models as plain data: whole, without pickle, and what has no translation is named."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from quantized_nets import NETS

from imgrec.compression.tfmot.describe import describe
from imgrec.compression.tfmot.description import LAYOUT, WEIGHTS, read, write
from imgrec.compression.tfmot.job import (
    Answer,
    Data,
    Job,
    Recipe,
    read_answer,
    read_job,
    write_answer,
    write_job,
)
from imgrec.errors import InputError


@pytest.mark.parametrize("name", list(NETS))
def test_every_weight_goes_over_once(name: str, tmp_path: Path) -> None:
    model = NETS[name]()
    write(describe(model), tmp_path)
    told = read(tmp_path)
    roles = ("kernel", "bias", "gamma", "beta", "mean", "variance", "value")
    held = sum(array.size for key, array in told.arrays.items() if key.rpartition("/")[2] in roles)
    assert held == model.count_params()
    assert told.shape == (16, 16, 3)
    assert all(values for step in told.steps for values in (step.inputs, step.outputs))
    assert np.load(tmp_path / WEIGHTS, allow_pickle=False).files


def test_a_layer_that_is_called_twice_has_its_weights_once() -> None:
    told = describe(NETS["conv_net"]())
    calls = [step for step in told.steps if step.layer == "cbam_channel_reduce"]
    assert [step.name for step in calls] == ["cbam_channel_reduce", "cbam_channel_reduce_2"]
    assert "cbam_channel_reduce_2/kernel" not in told.arrays


class Doubled(keras.layers.Layer):
    """Not one of ours, and not one of Keras's."""

    def call(self, x: Any) -> Any:
        return 2 * x


def test_what_has_no_translation_is_named_in_one_line() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.UpSampling2D(name="larger")(Doubled(name="doubled")(image))
    model = keras.Model(image, keras.layers.Flatten()(x), name="odd")
    with pytest.raises(InputError, match=r"'odd'.*doubled \(Doubled\), larger \(UpSampling2D\)") as raised:
        describe(model)
    assert "\n" not in str(raised.value)


def test_another_version_is_refused(tmp_path: Path) -> None:
    write(describe(NETS["vit"]()), tmp_path)
    layout = tmp_path / LAYOUT
    layout.write_text(layout.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(InputError, match="format 9, this version knows 1"):
        read(tmp_path)


def test_question_and_answer_come_over_whole(tmp_path: Path) -> None:
    job = Job("cluster", True, 8, Recipe(4, 2, [0.1, 0.2], weight_decay=0.3))
    images = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3)
    write_job(job, Data(images, train_targets=np.eye(2, dtype="float32")), tmp_path)
    asked, data = read_job(tmp_path)
    assert asked == job and np.array_equal(data.test, images) and data.train.size == 0
    assert np.array_equal(data.train_targets, np.eye(2))
    answer = Answer("why", "", ["Multiply"], {"float": np.ones((2, 3), "float32")}, 1.5, 0.5)
    write_answer(answer, tmp_path)
    back = read_answer(tmp_path)
    assert np.array_equal(back.outputs["float"], answer.outputs["float"])
    assert (back.refused, back.unsupported, back.wall_s) == ("why", ["Multiply"], 1.5)
