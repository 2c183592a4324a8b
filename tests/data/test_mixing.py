import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from imgrec.config import AugmentConfig
from imgrec.data.mixing import CutMix, _draws, mixer
from imgrec.data.order.randomness import MIX

SIZE, CLASSES = 16, 8


def batch(height=SIZE, width=SIZE):
    """Image n is everywhere n + 1 and of class n, so pixels tell where they come from."""
    level = np.arange(1.0, CLASSES + 1, dtype=np.float32)
    images = np.broadcast_to(level[:, None, None, None], (CLASSES, height, width, 1))
    return tf.constant(images), tf.eye(CLASSES)


def run(augment, step, seed=0, pair=None):
    mix = mixer(augment, seed, 10)
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
    dataset = tf.data.Dataset.from_tensors(batch()).repeat(2).enumerate(5).map(mixer(augment, 0, 10))
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
    mix = mixer(augment, 3, 10)
    steps = tf.data.Dataset.range(300).map(lambda step: mix(step, batch()))
    found = [kind(images.numpy(), targets.numpy()) for images, targets in steps]
    counts = {name: found.count(name) for name in ("none", "mixup", "cutmix")}
    assert 35 <= counts["none"] <= 85 and 90 <= counts["mixup"] <= 150 and 90 <= counts["cutmix"] <= 150


@pytest.mark.parametrize(("share", "mix"), [(0.2, 1.0), (0.9, 0.5)])
def test_cutmix_takes_its_share_of_the_mixed_batches(share, mix):
    augment = AugmentConfig(mixup=1.0, cutmix=1.0, mix_probability=mix, cutmix_share=share)
    one = mixer(augment, 5, 10)
    steps = tf.data.Dataset.range(400).map(lambda step: one(step, batch()))
    found = [kind(images.numpy(), targets.numpy()) for images, targets in steps]
    expected = {"none": 1 - mix, "mixup": mix * (1 - share), "cutmix": mix * share}
    for name, probability in expected.items():
        assert stats.binomtest(found.count(name), 400, probability).pvalue > 1e-3


@pytest.mark.parametrize("augment", [AugmentConfig(mixup=1.0), AugmentConfig(mixup=1.0, cutmix=1.0)])
def test_mixing_stops_after_its_epochs(augment):
    until = dataclasses.replace(augment, mix_epochs=2)
    for step in (0, 13, 14, 15, 100):
        images, targets = (t.numpy() for t in mixer(until, 0, 7)(tf.constant(step, tf.int64), batch()))
        # Before the switch as ever; from epoch 2 on, steps 14 and later, nothing is mixed.
        expected = run(augment, step) if step < 14 else [t.numpy() for t in batch()]
        assert np.array_equal(images, expected[0]) and np.array_equal(targets, expected[1])


@pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.4), AugmentConfig(cutmix=1.0)])
def test_bytes_and_floats_give_the_same(augment):
    images, targets = batch()
    for step in range(5):
        of_floats = run(augment, step, pair=(images, targets))
        of_bytes = run(augment, step, pair=(tf.cast(images, tf.uint8), targets))
        np.testing.assert_allclose(of_floats[0], of_bytes[0], rtol=1e-6)
        assert of_bytes[0].dtype == np.float32 and np.array_equal(of_floats[1], of_bytes[1])


@pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.4), AugmentConfig(cutmix=1.0)])
def test_several_labels_are_mixed_by_the_same_share(augment):
    images, one_hot = batch()
    # Image n has the labels n and n + 1.
    several = one_hot + tf.roll(one_hot, 1, axis=1)
    for step in range(5):
        mixed, targets = run(augment, step, pair=(images, several))
        same, shares = run(augment, step, pair=(images, one_hot))
        assert np.array_equal(mixed, same)
        np.testing.assert_allclose(targets, shares + np.roll(shares, 1, axis=1), atol=1e-6)
        np.testing.assert_allclose(targets.sum(axis=1), 2.0, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_shares_are_beta_by_kolmogorov_and_smirnov(name, alpha):
    pair, found = batch(200, 200) if name == "cutmix" else batch(1, 1), []
    share = _draws(tf.constant([MIX, 77], tf.int64), alpha, 2000)[0]
    assert stats.kstest(share.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    for step in range(6):
        key = tf.stack([tf.constant(MIX, tf.int64), tf.constant(step, tf.int64)])
        share, order, _ = (t.numpy() for t in _draws(key, alpha, CLASSES))
        targets = run(AugmentConfig(**{name: alpha}), step, pair=pair)[1]
        found += (np.diag(targets) - share)[order != np.arange(CLASSES)].tolist()
    if name == "mixup":
        assert np.abs(found).max() < 1e-6
    else:  # a box at the border loses what would stand out of the image, so more of the image stays
        assert min(found) > -0.02 and max(found) > 0.05


def test_nothing_on_means_no_mixer():
    assert mixer(AugmentConfig(), 0, 10) is None
    assert mixer(AugmentConfig(mixup=0.2, mix_probability=0.0), 0, 10) is None


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
