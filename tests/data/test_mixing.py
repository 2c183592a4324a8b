import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.config import AugmentConfig
from imgrec.data.mixing import CutMix, mixer

SIZE, CLASSES = 16, 8


def batch(height=SIZE, width=SIZE):
    """Image n is everywhere n + 1 and of class n, so pixels tell where they come from."""
    level = np.arange(1.0, CLASSES + 1, dtype=np.float32)
    images = np.broadcast_to(level[:, None, None, None], (CLASSES, height, width, 1))
    return tf.constant(images), tf.eye(CLASSES)


def run(augment, step, seed=0, pair=None):
    mix = mixer(augment, seed)
    images, targets = mix(tf.constant(step, tf.int64), pair or batch())
    return images.numpy(), targets.numpy()


@pytest.mark.parametrize("shape", [(16, 16), (7, 30), (1, 1)])
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_cutmix_labels_by_the_share_of_pixels(shape, alpha):
    clipped = 0
    for step in range(40):
        images, targets = run(AugmentConfig(cutmix=alpha), step, pair=batch(*shape))
        for n in range(CLASSES):
            share = [(images[n] == level + 1).mean() for level in range(CLASSES)]
            np.testing.assert_allclose(targets[n], share, atol=1e-6)
            own = images[n, :, :, 0] == n + 1
            clipped += not own.all() and (~own[0].all() or ~own[:, 0].all())
    assert clipped > 0 or shape == (1, 1)


def test_kerascvs_own_cutmix_does_not(monkeypatch):
    """The reason for the subclass: the label of the box as drawn, part of which may lie outside."""
    import keras_cv

    keras.utils.set_random_seed(0)
    worst = 0.0
    for _ in range(20):
        images, targets = batch()
        mixed = keras_cv.layers.CutMix(alpha=1.0)({"images": images, "labels": targets})
        own = np.array([(mixed["images"].numpy()[n] == n + 1).mean() for n in range(CLASSES)])
        worst = max(worst, np.abs(np.diag(mixed["labels"]) - own).max())
    assert worst > 0.2


def test_mixup_blends_pixels_and_targets_alike():
    levels = np.arange(1.0, CLASSES + 1)
    for step in range(20):
        images, targets = run(AugmentConfig(mixup=0.4), step)
        np.testing.assert_allclose(targets.sum(axis=1), 1.0, atol=1e-6)
        assert (np.count_nonzero(targets, axis=1) <= 2).all()
        np.testing.assert_allclose(images[:, 3, 5, 0], targets @ levels, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha):
    own = []
    for step in range(150):
        _, targets = run(AugmentConfig(mixup=alpha), step)
        partner_differs = np.count_nonzero(targets, axis=1) == 2
        own += np.diag(targets)[partner_differs].tolist()
    # Beta(α, α): mean ½, variance 1 / (4 (2α + 1)); shares that round to 0 or 1 are left out here.
    assert np.mean(own) == pytest.approx(0.5, abs=0.04)
    if alpha >= 1:
        assert np.var(own) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)


def test_tiny_alpha_gives_no_nan():
    for step in range(20):
        images, targets = run(AugmentConfig(mixup=1e-3), step)
        assert np.isfinite(images).all() and np.isfinite(targets).all()


@pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.3), AugmentConfig(cutmix=1.0)])
def test_mixing_is_a_function_of_seed_and_step(augment):
    one, again = run(augment, 5), run(augment, 5)
    assert np.array_equal(one[0], again[0]) and np.array_equal(one[1], again[1])
    assert not np.array_equal(one[1], run(augment, 6)[1])
    assert not np.array_equal(one[1], run(augment, 5, seed=1)[1])
    tf.random.set_seed(99)
    dataset = tf.data.Dataset.from_tensors(batch()).repeat(2).enumerate(5).map(mixer(augment, 0))
    inside = [pair[1].numpy() for pair in dataset]
    np.testing.assert_allclose(inside[0], one[1], atol=1e-7)
    np.testing.assert_allclose(inside[1], run(augment, 6)[1], atol=1e-7)


def kind(images, targets):
    if np.array_equal(targets, np.eye(CLASSES)) and (images == batch()[0].numpy()).all():
        return "none"
    whole = np.isin(images, np.arange(1, CLASSES + 1)).all()
    return "cutmix" if whole else "mixup"


def test_both_kinds_take_turns_and_a_share_is_left_alone():
    augment = AugmentConfig(mixup=1.0, cutmix=1.0, mix_probability=0.8)
    mix = mixer(augment, 3)
    found = [kind(*(t.numpy() for t in mix(tf.constant(s, tf.int64), batch()))) for s in range(300)]
    counts = {name: found.count(name) for name in ("none", "mixup", "cutmix")}
    assert 35 <= counts["none"] <= 85 and 90 <= counts["mixup"] <= 150 and 90 <= counts["cutmix"] <= 150


def test_nothing_on_means_no_mixer():
    assert mixer(AugmentConfig(), 0) is None
    assert mixer(AugmentConfig(mixup=0.2, mix_probability=0.0), 0) is None


def test_computes_in_float32_under_a_half_precision_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        images, targets = run(AugmentConfig(cutmix=1.0), 0)
        assert CutMix(1.0, dtype="float32").compute_dtype == "float32"
    finally:
        keras.config.set_dtype_policy(before)
    assert images.dtype == targets.dtype == np.float32
    assert np.array_equal(targets, run(AugmentConfig(cutmix=1.0), 0)[1])
