"""Every model of the zoo, small and briefly trained, answers as an int8 file as it does in Keras."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from quantized_nets import CLASSES, answers, measured, pictures, train, train_on

from imgrec.compression import qat
from imgrec.errors import InputError
from imgrec.export import litert
from imgrec.export.parity import ParityRow
from imgrec.layers.normalization import BatchNormalization
from imgrec.models import MODELS, build_model, info

EXCEPTIONS: dict[str, str] = {
    "preact_resnet1001": "rounded, 1001 layers answer by chance (.17 right, five classes; .945 before), and "
    "four steps of fine-tuning mend nothing; file and fine-tuned model agree on 99 % all the same",
}
"""Model name → reason, in one line. A test holds that every other model agrees with its file, and that these
do not, or answer by chance."""

MIN_AGREEMENT = 0.95
IMAGES = 200
# The largest networks, and the one of 1001 layers, take minutes of processor time at 32 px, and learn these
# images at 16.
MIN_SIZE, MIN_SIZE_OF_LARGE, LARGE, DEEP = 32, 16, 20e6, {"preact_resnet1001"}
STEPS, TUNING_STEPS, BATCH = 30, 4, 16
# Batch normalisation bears, and small networks need, a rate at which others diverge.
RATE, RATE_WITH_BATCH_NORM = 1e-3, 3e-3
# The ReLU before SqueezeNet's mean, the last of eighteen layers without normalisation, dies at the others'
# rate; CoAtNet's attention does not learn at that of networks with batch normalisation, EfficientNet-B5
# stays at chance with it; and 152 layers of residuals grow at it until the logits spread by 50, of which
# eight bits leave nothing.
RATES = {"squeezenet1_0": 3e-4, "coatnet_0": 5e-4, "efficientnet_b5": 1e-3, "resnet152": 1e-3}
# Some networks learn slowly at first: up to so many rounds of STEPS more. Classes that a model hardly
# tells apart would say more about chance than about its file.
MORE, ENOUGH, LOOKED_AT = 12, 0.9, 64
# TensorFlow Lite's converter takes thirty to forty times the memory of the weights (vit_b_16: 14.7 GiB).
GIBIBYTES = {"vit_l_16": 45}
# One network of convolutions and one with residuals; all others take minutes together.
QUICK = {"lenet5", "resnet8"}


def int8_row(name: str, path: Path, **options: Any) -> ParityRow:
    """Train a small form of the model, fine-tune it rounded, and measure its int8 file.

    Raises:
        InputError: the model is not covered.
    """
    keras.utils.set_random_seed(0)
    large = info(name).parameters > LARGE or name in DEEP
    size = max(info(name).min_size, MIN_SIZE_OF_LARGE if large else MIN_SIZE)
    model = build_model(name, (size, size, 3), CLASSES, **options)
    qat.check(model)
    images, labels = pictures(IMAGES, seed=9, size=size)
    normalised = any(isinstance(layer, BatchNormalization) for layer in model.layers)
    rate = RATES.get(name, RATE_WITH_BATCH_NORM if normalised else RATE)
    train(model, STEPS, rate, BATCH)
    for more in range(MORE):
        if np.mean(answers(model, images[:LOOKED_AT]).argmax(1) == labels[:LOOKED_AT]) > ENOUGH:
            break
        train_on(model, STEPS, BATCH, seed=20 + more)
    float_logits = answers(model, images)
    quantized = qat.prepare(model, pictures(64, seed=3, size=size)[0])
    del model  # with its optimiser: the largest models need the memory
    # A handful of steps is over sooner than the graph of a deep network is traced.
    train(quantized, TUNING_STEPS, RATE / 100, BATCH, run_eagerly=True)
    litert.to_int8(quantized, path)
    return measured(path, images, labels, answers(quantized, images), float_logits)


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in list(MODELS)]
)
def test_int8_file_agrees_with_the_model(name: str, tmp_path: Path) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if memory < GIBIBYTES.get(name, 0):
        pytest.skip(f"its conversion takes about {GIBIBYTES[name]} GiB of memory, and this machine has less")
    try:
        row = int8_row(name, tmp_path / "qat_int8.tflite")
    except InputError as refusal:
        assert name in EXCEPTIONS, refusal
        return
    assert np.isfinite(row.max_abs_difference)
    assert row.float_accuracy > 0.5, "trained too little for its answers to mean anything"
    agrees = row.agreement >= MIN_AGREEMENT and row.accuracy > 0.5
    assert agrees != (name in EXCEPTIONS), row


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["se", "cbam", "occlusion"])
def test_int8_file_of_an_attentive_resnet_agrees(attention: str, tmp_path: Path) -> None:
    row = int8_row("resnet8", tmp_path / "qat_int8.tflite", attention=attention)
    assert row.float_accuracy > 0.5 and row.agreement >= MIN_AGREEMENT, row


def test_exceptions_are_models_of_the_zoo() -> None:
    assert set(EXCEPTIONS) <= set(MODELS)
    assert all(reason and "\n" not in reason for reason in EXCEPTIONS.values())
