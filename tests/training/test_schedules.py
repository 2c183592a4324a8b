"""Every schedule against its closed form in NumPy, and the plateau against Keras's own callback."""

from typing import Any

import keras
import numpy as np
import pytest

from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.training.callbacks import plateau
from imgrec.training.optim import schedules
from imgrec.training.optim.optimizers import build_optimizer

PEAK, EPOCHS, EPOCH, WARMUP = 0.4, 14, 10, 20
STEPS = EPOCHS * EPOCH


def settings(schedule: str, **others: Any) -> OptimConfig:
    values = {"epochs": EPOCHS, "learning_rate": PEAK, "warmup_epochs": WARMUP / EPOCH, **others}
    return OptimConfig.plain(schedule=schedule, **values)


def half_cosine(share: Any) -> Any:
    return (1 + np.cos(np.pi * share)) / 2


def constant(step: int) -> float:
    return 1.0


def cosine(step: int) -> float:
    return 0.1 + 0.9 * half_cosine((step - 20) / 120)


def restarts(step: int) -> float:
    """Cycles of 30, 60 and 120 steps from the warm-up's end; the last is cut off by the training's."""
    for start, length, height in ((20, 30, 1.0), (50, 60, 0.5), (110, 120, 0.25)):
        if start <= step < start + length:
            return height * (0.2 + 0.8 * half_cosine((step - start) / length))
    raise AssertionError(step)


def step(step: int) -> float:
    return 0.2 ** ((step >= 50) + (step >= 115))


def polynomial(step: int) -> float:
    return 0.05 + 0.95 * (1 - (step - 20) / 120) ** 2


CLOSED = {
    "constant": constant,
    "cosine(floor=0.1)": cosine,
    "restarts(first=3, multiply=2, shrink=0.5, floor=0.2)": restarts,
    "step(at=[5, 11.5], factor=0.2)": step,
    "polynomial(power=2, floor=0.05)": polynomial,
    "plateau": constant,
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_schedule_is_its_closed_form_after_a_linear_warmup(name: str) -> None:
    share = CLOSED[name]
    rate = schedules.build_schedule(settings(name), EPOCH)
    expected = [PEAK * (s / WARMUP if s < WARMUP else share(s)) for s in range(STEPS + 1)]
    np.testing.assert_allclose([float(rate(s)) for s in range(STEPS + 1)], expected, rtol=1e-5, atol=1e-7)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(rate))
    assert float(again(77)) == float(rate(77))


def test_one_cycle_rises_and_falls_by_cosines() -> None:
    rate = schedules.build_schedule(settings("one_cycle"), EPOCH)
    at = np.arange(STEPS + 1)
    up = 0.04 + 0.96 * (1 - half_cosine(at / 42))  # 30 % of 140 steps
    down = 4e-6 + (1 - 4e-6) * half_cosine((at - 42) / 98)
    np.testing.assert_allclose(
        [float(rate(s)) for s in at], PEAK * np.where(at < 42, up, down), rtol=1e-4, atol=1e-7
    )
    assert np.argmax([float(rate(s)) for s in at]) == 42


def test_defaults_are_shares_of_the_training() -> None:
    plain = {"warmup_epochs": 0.0}
    rate = schedules.build_schedule(settings("step", **plain), EPOCH)
    shares = [float(rate(s)) / PEAK for s in (69, 70, 104, 105, 140)]
    np.testing.assert_allclose(shares, [1, 0.1, 0.1, 0.01, 0.01], rtol=1e-5)
    rate = schedules.build_schedule(settings("restarts", **plain), EPOCH)
    # Cycles of 20, 40 and 80 steps: the whole training.
    shares = [float(rate(s)) / PEAK for s in (0, 10, 20, 40, 60, 100, 140)]
    np.testing.assert_allclose(shares, [1, 0.5, 1, 0.5, 1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_a_training_of_one_step_has_a_rate(name: str) -> None:
    rate = schedules.build_schedule(settings(name, epochs=1), 1)
    assert float(rate(0)) == pytest.approx(PEAK)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("cosin", "unknown schedule 'cosin': did you mean cosine"),
        ("step(factr=0.1)", "unknown option of schedule step 'factr': did you mean factor"),
        ("step([3])", "--schedule 'step([3])': got [3], expected name=value"),
        ("constant(floor=1)", "schedule 'constant' takes no options, got 'floor'"),
        ("polynomial(power=-1)", "power=-1: expected 0 or more"),
        ("restarts(multiply=0.5)", "multiply=0.5: expected 1 or more"),
        ("cosine(steps=9)", "unknown option of schedule cosine 'steps'"),
    ],
)
def test_what_cannot_be_meant(schedule: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        schedules.build_schedule(settings(schedule), EPOCH)
    assert message in str(caught.value)


def test_a_plateau_lowers_the_rate_as_keras_s_callback_does(capsys: pytest.CaptureFixture[str]) -> None:
    losses = [3.0, 2.0, 2.01, 1.9999, 2.5, 1.5, 1.6, 1.6, 1.6, 1.6, 1.6, 1.4]
    optim = settings("plateau(factor=0.5, wait=2, floor=0.2)", warmup_epochs=0.0)
    given = keras.Input((3,))
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(given))
    ours = build_optimizer(model, optim, EPOCH)
    ours.build(model.trainable_variables)
    (callback,) = plateau(keras.optimizers.LossScaleOptimizer(ours))
    model.compile(optimizer=keras.optimizers.SGD(PEAK))
    theirs = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_delta=0.0, min_lr=0.2 * PEAK)
    theirs.set_model(model)
    theirs.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        # Ours asks for a relative improvement, Keras for an absolute one: here 1.9999 is none for both.
        callback.on_epoch_end(epoch, {"val_loss": loss})
        theirs.on_epoch_end(epoch, {"val_loss": 2.0 if loss == 1.9999 else loss})
        rates.append((float(ours.learning_rate), float(model.optimizer.learning_rate)))
    np.testing.assert_allclose(*np.transpose(rates), rtol=1e-6)
    np.testing.assert_allclose(np.unique(np.round(rates, 6)), [0.08, 0.1, 0.2, 0.4])
    assert "rate × 0.5, 0.25 of the peak" in capsys.readouterr().out
    state = next(v for v in ours.variables if v.name == "plateau")
    np.testing.assert_allclose(state.numpy(), [0.2, 1.4, 0.0], rtol=1e-6)


def test_the_overview_names_it() -> None:
    assert schedules.summary(settings("step(at=[5])")) == "step(at=[5]) after 2 epochs of warm-up"
