"""The mask's loss against NumPy, and a mask that learns where images are hidden."""

import keras
import numpy as np
import pytest
from targets import feed, one_hot

from imgrec.config import AugmentConfig, OptimConfig
from imgrec.data.pipeline import evaluation_dataset, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.layers.occlusion import mask_of
from imgrec.learning.mask_loss import TOO_SURE, MaskSupervised, mask_loss
from imgrec.models import build_model
from imgrec.training.fit import Phase, fit_phases


def test_mask_loss_is_the_cross_entropy_with_the_visible_share() -> None:
    draw = np.random.default_rng(0)
    visible = (draw.random((3, 8, 12, 1)) < 0.6).astype("float32")
    mask = draw.random((3, 4, 4, 1)).astype("float32")
    mask[0, 0, 0] = 1.0
    share = visible.reshape(3, 4, 2, 4, 3).mean(axis=(2, 4))[..., None]
    sure = np.clip(mask, TOO_SURE, 1 - TOO_SURE)
    expected = -(share * np.log(sure) + (1 - share) * np.log(1 - sure)).mean()
    assert float(mask_loss(visible, mask)) == pytest.approx(expected, rel=1e-5)


def stripes(count: int) -> Split:
    """Horizontal against vertical stripes."""
    labels = np.arange(count) % 2
    images = np.full((count, 16, 16, 1), 60, np.uint8)
    images[labels == 0, ::4] = 190
    images[labels == 1, :, ::4] = 190
    return Split(tuple(str(n) for n in range(count)), labels, images=images)


def test_the_mask_learns_what_erasing_hid_and_the_logits_learn_too() -> None:
    keras.utils.set_random_seed(0)
    split, preprocess = stripes(64), Preprocess(size=(16, 16), colour="grey")
    augment = AugmentConfig(crop="none", flip=False, erasing=0.8)
    optim = OptimConfig.plain(
        epochs=6, batch_size=16, learning_rate=0.05, warmup_epochs=0.5, label_smoothing=0.0
    )
    train = training_dataset(
        split, feed(preprocess, 2, augment, 16, seed=0, needs=frozenset({"visibility"})), steps=24
    )
    validation = evaluation_dataset(split, preprocess, one_hot(2), 16)
    model = build_model("resnet8", (16, 16, 1), 2, attention="occlusion")
    part = MaskSupervised(model, 1.0)
    fitted = fit_phases(model, [Phase(train, validation, 6, part=part)], optim=optim, steps_per_epoch=4)
    best = fitted.history[fitted.best_epoch - 1]
    assert best["val_accuracy"] > 0.9
    # Validation counts the logits alone: what the model itself measures.
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    assert model.evaluate(validation, verbose=0) == pytest.approx(best["val_loss"], rel=1e-4)
    images, (_, visible) = next(iter(train))
    mask = keras.Model(model.inputs, mask_of(model))(images).numpy()
    visible = visible.numpy() > 0.5  # of each place of the mask, which has the size of these small images
    assert mask[visible].mean() > mask[~visible].mean() + 0.3


def test_a_model_without_a_mask_is_refused() -> None:
    with pytest.raises(InputError, match="attention=occlusion"):
        MaskSupervised(build_model("resnet8", (16, 16, 1), 2), 1.0)
