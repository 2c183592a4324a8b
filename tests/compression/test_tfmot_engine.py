"""tfmot in its own process: translations answer as the models do, it trains them, and its file is opened."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from quantized_nets import CLASSES, NETS, answers, pictures, train

from imgrec.compression.tfmot.describe import describe
from imgrec.compression.tfmot.job import FILE, Data, Job, Recipe
from imgrec.compression.tfmot.reference import ask
from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.runtimes import open_runtime

HAS_TFMOT = importlib.util.find_spec("tensorflow_model_optimization") is not None
needs_tfmot = pytest.mark.skipif(not HAS_TFMOT, reason="pip install 'imgrec[tfmot]'")
BATCH, STEPS, EPOCHS = 16, 8, 2


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'tf_keras'\"; exit 1\n")
    bare.chmod(0o755)
    with pytest.raises(InputError, match=r"imgrec\[tfmot\]"):
        ask(NETS["vit"](), Job("answer"), Data(pictures(2)[0]), tmp_path / "job", str(bare))


@needs_tfmot
@pytest.mark.parametrize(
    "name", ["conv_net", *(pytest.param(n, marks=pytest.mark.slow) for n in ("vit", "dense_net"))]
)
def test_the_translation_answers_as_the_model(name: str, tmp_path: Path) -> None:
    model = NETS[name]()
    train(model, 4)
    images = pictures(32)[0]
    answer = ask(model, Job("accepts"), Data(images), tmp_path)
    assert np.abs(answer.outputs["float"] - answers(model, images)).max() < 1e-4
    # Each holds a layer that tfmot's registry does not have.
    assert "is not supported" in answer.refused and "\n" not in answer.refused
    assert answer.unsupported


@needs_tfmot
@pytest.mark.slow
@pytest.mark.parametrize("do", ["quantise", "cluster"])
def test_it_trains_and_its_file_answers(do: str, tmp_path: Path) -> None:
    model = build_model("resnet8", (16, 16, 3), CLASSES, attention="cbam")
    train(model, 40)
    images, labels = pictures(EPOCHS * STEPS * BATCH, seed=1)
    targets = np.eye(CLASSES, dtype="float32")[labels]
    test, right = pictures(100, seed=9)
    data = Data(test, images, targets, test[:32], np.eye(CLASSES, dtype="float32")[right[:32]], images[:64])
    recipe = Recipe(BATCH, EPOCHS, [1e-3] * EPOCHS * STEPS, weight_decay=1e-4)
    answer = ask(model, Job(do, own_configs=True, recipe=recipe), data, tmp_path)  # type: ignore[arg-type]
    assert not answer.refused
    assert (answer.outputs["trained"].argmax(1) == right).mean() > 0.5
    outputs, _ = open_runtime(tmp_path / FILE).timed(test)
    assert (outputs.argmax(1) == answer.outputs["trained"].argmax(1)).mean() > 0.8


def test_the_engine_stays_out_of_this_process() -> None:
    describe(NETS["vit"]())
    assert "tensorflow_model_optimization" not in sys.modules and "tf_keras" not in sys.modules
