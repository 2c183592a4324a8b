"""Norms by depth against NumPy, warnings, what is written where; and the sweep of learning rates."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.runs.preview import _said
from imgrec.training.fit import Recording, fit
from imgrec.training.monitor import Monitor, log_images, memory
from imgrec.training.phase import Phase
from imgrec.training.trials import RANGES, Sweep, sweep

X = np.random.default_rng(0).normal(0, 1, (24, 4)).astype("float32")
Y = np.eye(3, dtype="float32")[np.arange(24) % 3]


def settings(**values: Any) -> OptimConfig:
    plain = {"schedule": "constant", "warmup_epochs": 0.0, "weight_decay": 0.0, "momentum": 0.0, "epochs": 2}
    plain |= {"label_smoothing": 0.0, "learning_rate": 0.1, "batch_size": 8}
    return OptimConfig.plain(**{**plain, **values})


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    hidden = keras.layers.Dense(5, activation="tanh", name="features")(given)
    return keras.Model(given, keras.layers.Dense(3, name="logits")(hidden))


def watched(
    model: keras.Model, optim: OptimConfig, every: int, log: Path | None = None
) -> list[dict[str, float]]:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    groups = {name: model.get_layer(name).trainable_variables for name in ("features", "logits")}
    monitor = Monitor(groups, every, 8, accumulate=optim.accumulate, log=log)
    return fit(
        model,
        data.repeat(optim.epochs),
        data,
        optim=optim,
        steps_per_epoch=3,
        recording=Recording(callbacks=[monitor]),
    ).history


def norm(values: list[np.ndarray]) -> float:
    return float(np.sqrt(sum((np.asarray(v, "float64") ** 2).sum() for v in values)))


def by_hand(model: keras.Model) -> list[dict[str, float]]:
    """Six steps of gradient descent at a rate of 0.1: norms before and of each."""
    rows, loss = [], keras.losses.CategoricalCrossentropy(from_logits=True)
    for step in range(6):
        part = slice(step % 3 * 8, step % 3 * 8 + 8)
        with tf.GradientTape() as tape:
            value = loss(Y[part], model(X[part]))
        gradients = [g.numpy() for g in tape.gradient(value, model.trainable_variables)]
        row = {}
        for name, places in (("features", slice(0, 2)), ("logits", slice(2, 4))):
            weight = norm([v.numpy() for v in model.trainable_variables[places]])
            row[f"gradient_norm/{name}"] = norm(gradients[places])
            row[f"weight_norm/{name}"] = weight
            row[f"update_ratio/{name}"] = 0.1 * norm(gradients[places]) / weight
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            variable.assign_sub(0.1 * gradient)
        rows.append(row)
    return rows


def test_norms_are_those_by_hand_and_reach_history_and_tensorboard(tmp_path: Path) -> None:
    # A bound far above the gradient's length, which is noted before it is shortened.
    history = watched(network(), settings(clip_norm=100.0), 2, tmp_path)
    expected = by_hand(network())
    for epoch, row in enumerate(history):
        looks = [expected[3 * epoch], expected[3 * epoch + 2]]  # the first and the third step
        for name in looks[0]:
            assert row[name] == pytest.approx(np.mean([look[name] for look in looks]), rel=1e-4), name
        assert 50 < row["memory_mb"] < 100_000
    log_images(tmp_path, np.zeros((3, 4, 4, 1), np.uint8))
    read = EventAccumulator(str(tmp_path / "steps")).Reload()
    names = set(read.Tags()["tensors"])
    assert names == {*expected[0], "learning_rate", "images_per_second", "memory_mb"}
    written = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in read.Tensors("gradient_norm/logits")]
    assert [step for step, _ in written] == [1, 3, 4, 6]
    np.testing.assert_allclose(
        [value for _, value in written],
        [expected[step - 1]["gradient_norm/logits"] for step, _ in written],
        rtol=1e-4,
    )
    pictures = EventAccumulator(str(tmp_path / "images")).Reload()
    assert pictures.Tags()["tensors"] == ["training images"]


def test_under_accumulation_a_look_spans_an_update() -> None:
    row = watched(network(), settings(accumulate=3, epochs=1, clip_norm=1.0, sam=0.05), 100)[0]
    assert 0 < row["update_ratio/logits"] < 0.1
    with_nothing_to_see = watched(network(), settings(accumulate=4, epochs=1), 100)[0]
    assert np.isnan(with_nothing_to_see["update_ratio/logits"])


@pytest.mark.parametrize(
    ("rate", "scale", "told"),
    [
        (0.1, 1e-9, "features vanishes: weights' norm"),
        (0.1, 1e5, "features explodes: weights' norm"),
        (50.0, 1.0, "features is thrown far: weights' norm"),
    ],
)
def test_what_vanishes_or_explodes_is_told_once(
    rate: float, scale: float, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network()
    head = model.get_layer("logits")
    head.kernel.assign(head.kernel * scale)
    watched(model, settings(learning_rate=rate, epochs=1), 1)
    printed = capsys.readouterr().out
    assert printed.count(f"warning: epoch 1, step 1: {told}") == 1
    assert printed.count(told.split(":")[0]) == 1
    assert memory()["memory_mb"] > 50


def linear(slope: float) -> tuple[keras.Model, tf.data.Dataset]:
    """One weight: the loss is ½ · slope · w², which descends where rate < 2 / slope and else explodes."""
    keras.utils.set_random_seed(0)
    given = keras.Input((1,))
    model = keras.Model(given, keras.layers.Dense(1, use_bias=False, name="logits")(given))
    model.set_weights([np.array([[1.0]], "float32")])
    rows = np.full((4, 1), np.sqrt(slope), "float32")
    return model, tf.data.Dataset.from_tensors((rows, np.zeros((4, 1), "float32"))).repeat(100)


class HalfSquare(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 0.5 * (y_pred - y_true)[:, 0] ** 2


@pytest.mark.parametrize("slope", [1.0, 100.0])
def test_a_sweep_follows_gradient_descent_and_stops_where_it_diverges(slope: float) -> None:
    model, data = linear(slope)
    found = sweep(model, Phase(data, data, 1), optim=settings(), loss=HalfSquare(), steps=100)
    np.testing.assert_allclose(found.rates, np.geomspace(*RANGES["sgd"], 100)[: len(found.rates)], rtol=1e-9)
    w, mean, smoothed = 1.0, 0.0, []
    for number, rate in enumerate(found.rates, start=1):
        mean = 0.9 * mean + 0.1 * 0.5 * slope * w**2
        smoothed.append(mean / (1 - 0.9**number))
        w *= 1 - rate * slope
    np.testing.assert_allclose(found.losses, smoothed, rtol=1e-3, atol=1e-6 * slope)
    assert 0.01 / slope < found.suggested < 2 / slope
    if slope == 100:
        assert found.rates[-1] < 5 and found.losses[-1] > 4 * found.losses.min()
    assert model.get_weights()[0] == 1.0


def test_what_a_sweep_cannot_answer() -> None:
    model, data = linear(1.0)
    with pytest.raises(InputError, match="4 training batches, expected 10: lower --batch-size"):
        sweep(model, Phase(data, data, 1), optim=settings(), loss=HalfSquare(), steps=4)
    with pytest.raises(InputError, match=r"the loss fell at no rate from 1e-06 to 1e\+01"):
        _ = Sweep(np.geomspace(1e-6, 10, 20), np.linspace(1, 2, 20)).suggested


@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_suggests_no_end_of_its_range(seed: int) -> None:
    """A loss of 2.3 with noise that falls from 1e-3 on and explodes behind 0.3; odd first batches."""
    rates = np.geomspace(1e-6, 0.1, 100) * 10
    fall = 1.5 / (1 + (0.01 / rates) ** 1.5)
    noise = np.random.default_rng(seed).normal(0, 0.05, 100)
    losses = 2.3 - fall + noise + (rates / 0.5) ** 4
    losses[:2] = [2.9, 2.0]  # what bias correction makes of a first batch or two
    suggested = Sweep(rates, losses).suggested
    assert suggested is not None and 2e-3 < suggested < 0.1


def test_a_best_rate_below_the_range_is_said() -> None:
    rates = np.geomspace(1e-4, 10, 100)
    losses = 0.5 + 2 * np.exp(-np.arange(100) / 5) + np.where(rates > 0.01, (rates / 0.01) ** 0.2 - 1, 0)
    found = Sweep(rates, losses)
    assert found.suggested is None
    assert "try lower, --learning-rate 1e-05" in _said(found, "sgd")
