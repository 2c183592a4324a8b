"""Every optimiser against NumPy, who is spared from weight decay, penalties, clipping and accumulation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.training.fit import fit
from imgrec.training.optim.optimizers import RULES, build_optimizer, check, depth_factors, go_to_step, summary
from imgrec.training.optim.regularize import regularized

Update = Callable[[str, int, np.ndarray, np.ndarray, dict[str, np.ndarray]], np.ndarray]


def settings(optimizer: str = "sgd", **values: Any) -> OptimConfig:
    """A constant rate, no decay, one epoch, but for `values`."""
    plain = {"schedule": "constant", "warmup_epochs": 0.0, "weight_decay": 0.0, "epochs": 1}
    return OptimConfig.plain(optimizer=optimizer, **{**plain, **values})


@pytest.mark.parametrize(("name", "rules"), [("resnet8", ["sgd", "adamw"]), ("vit_small_image", ["muon"])])
def test_decay_moves_kernels_only(name: str, rules: list[str]) -> None:
    """With zero gradients, one step shrinks every matrix by rate × decay and leaves all else."""
    model = build_model(name, input_shape=(16, 16, 1), num_classes=3)
    weights = [v.numpy().copy() for v in model.trainable_variables]
    for optimizer in rules:
        for variable, old in zip(model.trainable_variables, weights, strict=True):
            variable.assign(old)
        built = build_optimizer(model, settings(optimizer, learning_rate=0.5, weight_decay=0.1), 1000)
        built.apply([keras.ops.zeros_like(v) for v in model.trainable_variables], model.trainable_variables)
        for variable, old in zip(model.trainable_variables, weights, strict=True):
            about = f"{optimizer}: {variable.path}"
            if not variable.path.endswith("kernel"):
                np.testing.assert_array_equal(variable.numpy(), old, err_msg=about)
            else:
                np.testing.assert_allclose(variable.numpy(), old * 0.95, rtol=1e-5, err_msg=about)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("jit", [False, True])
def test_the_first_update_with_layer_decay_is_the_one_by_hand(optimizer: str, jit: bool) -> None:
    """Rate r·½^k at k groups from the head, for the step and for the weight decay."""
    rate, decay = 0.2, 0.1
    model = build_model("resnet8", input_shape=(16, 16, 1), num_classes=3)
    settings = {"optimizer": optimizer, "learning_rate": rate, "weight_decay": decay, "warmup_epochs": 0.0}
    optim = OptimConfig.plain(**settings)
    built = build_optimizer(model, dataclasses.replace(optim, layer_decay=0.5), steps_per_epoch=1_000_000)
    before = {v.path: v.numpy().copy() for v in model.trainable_variables}
    gradients = [keras.ops.full(v.shape, 0.25) for v in model.trainable_variables]
    apply = tf.function(lambda: built.apply(gradients, model.trainable_variables), jit_compile=jit)
    built.build(model.trainable_variables)
    apply()
    depth = {"stem": 4, "stage1": 3, "stage2": 2, "stage3": 1, "logits": 0}
    for variable in model.trainable_variables:
        share = 0.5 ** depth[variable.path.split("/")[0].split("_")[0]]
        decayed = decay if variable.path.endswith("kernel") else 0.0
        # Nesterov's first step is (1 + momentum) gradients, Adam's is the gradient's sign.
        step = 1.9 * 0.25 if optimizer == "sgd" else 1.0
        expected = before[variable.path] * (1 - rate * share * decayed) - rate * share * step
        np.testing.assert_allclose(variable.numpy(), expected, rtol=0, atol=2e-5, err_msg=variable.path)


def test_a_scaled_optimizer_is_saved_with_its_factors() -> None:
    model = build_model("resnet8", input_shape=(16, 16, 1), num_classes=3)
    built = build_optimizer(model, OptimConfig.plain(layer_decay=0.5), steps_per_epoch=10)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(built))
    assert type(again) is type(built)
    assert again.factors == built.factors == depth_factors(model, 0.5)


def sgd(name: str, t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    """Sutskever et al., 2013, as Keras writes it: v ← 0.9 v − r g; w ← w + 0.9 v − r g."""
    s["v"] = 0.9 * s.get("v", 0) - RATE * g
    return 0.9 * s["v"] - RATE * g


def adam(name: str, t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    """Kingma and Ba, 2015; its ε stands behind the correction of the second moment."""
    s["m"], s["v"] = 0.9 * s.get("m", 0) + 0.1 * g, 0.999 * s.get("v", 0) + 0.001 * g**2
    correction = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return -RATE * correction * s["m"] / (np.sqrt(s["v"]) + 1e-7)


def rmsprop(name: str, t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    s["m"] = 0.9 * s.get("m", 0) + RATE * g / np.sqrt(s["v"] + 1e-7)
    return -s["m"]


def lion(name: str, t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    """Chen et al., 2023 (arXiv 2302.06675), with Keras's β₂ of 0.99."""
    m = s.get("m", np.zeros_like(g))
    s["m"] = 0.99 * m + 0.01 * g
    return -RATE * np.sign(0.9 * m + 0.1 * g)


def lamb(name: str, t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    """You et al., 2020 (arXiv 1904.00962), without decay: Adam's direction, as long as the weights."""
    s["m"], s["v"] = 0.9 * s.get("m", 0) + 0.1 * g, 0.999 * s.get("v", 0) + 0.001 * g**2
    step = s["m"] / (1 - 0.9**t) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-7)
    return -RATE * step * np.linalg.norm(w) / np.linalg.norm(step)


def muon(name: str, t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    """Jordan et al., 2024, scaled as in Liu et al., 2025 (arXiv 2502.16982)."""
    if name not in ("hidden/kernel", "conv/kernel"):
        return adam(name, t, w, g, s)
    s["m"] = 0.9 * s.get("m", 0) + g
    x = (g + 0.9 * s["m"]).reshape(-1, g.shape[-1])
    shape, tall = x.shape, x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / np.linalg.norm(x)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return -RATE * 0.2 * np.sqrt(max(shape)) * (x.T if tall else x).reshape(g.shape)


RATE = 0.03
BY_HAND: dict[str, Update] = {"sgd": sgd, "adam": adam, "adamw": adam, "rmsprop": rmsprop}
BY_HAND |= {"lion": lion, "lamb": lamb, "muon": muon}


def layered() -> keras.Model:
    """One of each kind of variable, none of them for a use."""
    given = keras.Input((5, 5, 3))
    x = keras.layers.Conv2D(4, 2, name="conv")(given)
    x = keras.layers.DepthwiseConv2D(2, name="depthwise", use_bias=False)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(6, name="hidden")(x)
    x = keras.layers.Dense(6, name="embedding", use_bias=False)(x)
    return keras.Model(given, keras.layers.Dense(2, name="logits")(x))


@pytest.mark.parametrize("optimizer", RULES)
def test_three_updates_are_those_by_hand_with_decoupled_decay(optimizer: str) -> None:
    keras.utils.set_random_seed(0)
    model, draw = layered(), np.random.default_rng(1)
    built = build_optimizer(model, settings(optimizer, learning_rate=RATE, weight_decay=0.2), 10)
    weights = [v.numpy().astype("float64") for v in model.trainable_variables]
    weights = [w + 0.1 * (w.ndim == 1) for w in weights]  # biases of 0 would have no norm
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        variable.assign(weight)
    states: list[dict[str, np.ndarray]] = [{} for _ in weights]
    for t in (1, 2, 3):
        gradients = [draw.normal(0, 1, w.shape) for w in weights]
        built.apply([keras.ops.array(g, "float32") for g in gradients], model.trainable_variables)
        for i, variable in enumerate(model.trainable_variables):
            decay = 0.2 * RATE if variable.path.endswith("kernel") else 0.0
            old = weights[i] * (1 - decay)
            weights[i] = old + BY_HAND[optimizer](variable.path, t, old, gradients[i], states[i])
            np.testing.assert_allclose(
                variable.numpy(), weights[i], rtol=2e-3, atol=2e-5, err_msg=f"{variable.path}, step {t}"
            )


@pytest.mark.parametrize("optimizer", RULES)
def test_half_the_factor_is_half_the_rate(optimizer: str) -> None:
    """Layer decay works for every rule: its update and its decay are proportional to the rate."""
    keras.utils.set_random_seed(0)
    model = layered()
    start = [v.numpy().copy() for v in model.trainable_variables]
    ends = []
    for rate, factors in ((0.04, tuple(0.5 for _ in start)), (0.02, None)):
        for variable, value in zip(model.trainable_variables, start, strict=True):
            variable.assign(value)
        built = build_optimizer(model, settings(optimizer, learning_rate=rate, weight_decay=0.1), 10)
        built.factors = factors
        for _ in range(2):
            built.apply([keras.ops.ones_like(v) * 0.3 for v in start], model.trainable_variables)
        ends.append([v.numpy() for v in model.trainable_variables])
        again = keras.optimizers.deserialize(keras.optimizers.serialize(built))
        assert type(again) is RULES[optimizer] and again.factors == factors
    for one, other, before in zip(*ends, start, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        assert np.abs(one - before).max() > 1e-4


def regression() -> tuple[keras.Model, tf.data.Dataset, np.ndarray, np.ndarray]:
    """Softmax regression of 24 points."""
    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)
    x, y = draw.normal(0, 1, (24, 4)).astype("float32"), np.eye(3, dtype="float32")[np.arange(24) % 3]
    given = keras.Input((4,))
    hidden = keras.layers.Dense(5, activation="tanh", name="hidden")(given)
    model = keras.Model(given, keras.layers.Dense(3, name="logits")(hidden))
    return model, tf.data.Dataset.from_tensor_slices((x, y)), x, y


def gradients_of(model: keras.Model, x: np.ndarray, y: np.ndarray) -> tuple[float, list[np.ndarray]]:
    with tf.GradientTape() as tape:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(y, model(x))
    return float(loss), [g.numpy() for g in tape.gradient(loss, model.trainable_variables)]


def one_epoch(model: keras.Model, data: tf.data.Dataset, batch: int, optim: OptimConfig) -> Any:
    optim = dataclasses.replace(optim, label_smoothing=0.0, batch_size=batch)
    batches, steps = data.batch(batch), 24 // batch
    return fit(model, batches.repeat(optim.epochs), batches, optim=optim, steps_per_epoch=steps)


def test_penalties_are_those_of_the_kernels_and_leave_no_trace() -> None:
    model, data, x, y = regression()
    before = [v.numpy() for v in model.trainable_variables]
    loss, gradients = gradients_of(model, x, y)
    optim = settings(learning_rate=0.1, momentum=0.0, l1=0.02, l2=0.05)
    row = one_epoch(model, data, 24, optim).history[0]
    kernels = [w for w in before if w.ndim == 2]
    penalty = sum(0.02 * np.abs(w).sum() + 0.05 * (w**2).sum() for w in kernels)
    assert row["loss"] == pytest.approx(loss + penalty, rel=1e-5)
    for variable, w, g in zip(model.trainable_variables, before, gradients, strict=True):
        g = g + 0.02 * np.sign(w) + 0.1 * w if w.ndim == 2 else g
        np.testing.assert_allclose(variable.numpy(), w - 0.1 * g, rtol=1e-4, atol=1e-6)
        assert variable.regularizer is None
    assert not model.losses
    with regularized(model, optim):
        assert len(model.losses) == 2


def test_a_long_gradient_is_shortened_as_a_whole() -> None:
    model, data, x, y = regression()
    before = [v.numpy() for v in model.trainable_variables]
    _, gradients = gradients_of(model, x, y)
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 0.05
    one_epoch(model, data, 24, settings(learning_rate=1.0, momentum=0.0, clip_norm=0.05))
    for variable, w, g in zip(model.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), w - g * 0.05 / norm, rtol=1e-4, atol=1e-6)


def test_micro_batches_make_the_steps_of_a_large_batch() -> None:
    """Three batches of 4 an update, against batches of 12: weights and averages, decay and clipping too."""
    values = {"learning_rate": 0.05, "weight_decay": 0.1, "clip_norm": 0.3, "ema": 0.8, "epochs": 3}
    ends = []
    for batch, accumulate in ((12, 1), (4, 3)):
        model, data, _, _ = regression()
        one_epoch(model, data, batch, settings("adamw", accumulate=accumulate, **values))
        rule = model.optimizer
        assert int(rule.iterations) == 6 and int(rule._iterations) == 6 * accumulate
        averages = [v.numpy() for v in rule._model_variables_moving_average]
        ends.append([*(v.numpy() for v in rule._trainable_variables), *averages])
    for large, small in zip(*ends, strict=True):
        np.testing.assert_allclose(small, large, rtol=1e-4, atol=1e-6)


def test_the_schedule_counts_batches_under_accumulation() -> None:
    model, *_ = regression()
    optim = settings(schedule="cosine", learning_rate=0.4, epochs=10, accumulate=4)
    built = build_optimizer(model, optim, steps_per_epoch=8)
    built.build(model.trainable_variables)
    go_to_step(keras.optimizers.LossScaleOptimizer(built), 40)
    assert float(built.learning_rate) == pytest.approx(0.2)
    assert int(built.iterations) == 10


@pytest.mark.parametrize(
    ("values", "strategy", "message"),
    [
        ({"accumulate": 0}, None, "--accumulate 0: expected 1 or more"),
        ({"accumulate": 2}, object(), "over mirrored devices; use --strategy none, or a larger --batch-size"),
        ({"sam": 0.05}, object(), "--sam 0.05: moves the weights between two gradients"),
        ({"ema": 1.0}, None, "--ema 1: expected 0 or more and less than 1"),
        ({"l2": -1.0}, None, "--l2 -1: expected 0 or more"),
        ({"swa_epochs": 2, "epochs": 1}, None, "--swa-epochs 2: there are only --epochs 1"),
        ({"swa_epochs": 1, "ema": 0.9}, None, "leave out --ema, another average"),
        ({"sam_adaptive": True}, None, "--sam-adaptive: expected a radius too"),
        ({"schedule": "linear"}, None, "unknown schedule 'linear'"),
    ],
)
def test_what_does_not_go_together(values: dict[str, Any], strategy: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check(settings(**values), strategy)
    assert message in str(caught.value)


def test_the_overview_says_what_was_chosen() -> None:
    assert summary(OptimConfig.plain()) == (
        "sgd, peak rate 0.1, cosine after 1 epochs of warm-up, decay 0.0005, label smoothing 0.1"
    )
    chosen = settings("muon", l2=1e-4, clip_norm=1.0, accumulate=4, ema=0.999, sam=0.5, sam_adaptive=True)
    assert summary(chosen) == (
        "muon, peak rate 0.1, constant after 0 epochs of warm-up, decay 0, label smoothing 0.1, L2 0.0001, "
        "gradients clipped to 1, EMA 0.999, ASAM 0.5, an update every 4 steps"
    )
