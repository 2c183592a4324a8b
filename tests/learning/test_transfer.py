"""Frozen, cached, unfrozen: the same training whichever way its numbers are computed."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from sessions import session_of

from imgrec.config import Config, OptimConfig
from imgrec.config.facts import check_bounds
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import Source, load_source
from imgrec.errors import InputError
from imgrec.learning import conflicts, features, methods, transfer
from imgrec.models import build_model
from imgrec.models.weights import candidates
from imgrec.training.fit import Fitted, fit_phases
from imgrec.training.optim.schedules import cosine_with_warmup

PREPROCESS = Preprocess(size=(16, 16), colour="grey")
SETTINGS: dict[str, Any] = {
    "model": "resnet8",
    "weights": "a file",
    "freeze": "backbone",
    "crop": "none",
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 0.05,
    "warmup_epochs": 0.5,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "imgrec" / "features"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    draw = np.random.default_rng(0)
    labels = np.arange(80) % 2
    images = draw.integers(0, 120, (80, 16, 16), dtype=np.uint8)
    images[labels == 0, ::4] += 130
    images[labels == 1, :, :8:4] += 130  # lop-sided, so that a mirrored image is another one
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, images=images, labels=labels)
    return load_source(Config().replace(data=f"npz:{path}").data, seed=0)


def pretrained(classes: int = 2) -> keras.Model:
    """A small network with statistics and weights that are not those of a fresh one."""
    keras.utils.set_random_seed(5)
    model = build_model("resnet8", (16, 16, 1), classes)
    draw = np.random.default_rng(1)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([np.abs(w + draw.normal(0, 0.2, w.shape)) for w in layer.get_weights()])
    return model


def train(source: Source, **changes: Any) -> tuple[keras.Model, list[np.ndarray], Fitted]:
    """Return the trained model, its weights before, and the history."""
    decided = {**vars(OptimConfig.plain()), "head": "trained", "unfreeze_at": 0}
    config = Config().replace(**{**decided, **SETTINGS, **changes})
    config = config.replace(cache_features=str(transfer.wants_cache(config)).lower())
    model = pretrained()
    before = model.get_weights()
    session = session_of(config, source, PREPROCESS, model)
    fitted = fit_phases(
        model,
        transfer.Transfer().phases(session, config.optim.epochs),
        optim=config.optim,
        steps_per_epoch=session.steps_per_epoch,
    )
    return model, before, fitted


@pytest.mark.parametrize("classes", [2, 5])
def test_a_fresh_head_starts_at_zero_and_a_loaded_one_as_loaded(tmp_path: Path, classes: int) -> None:
    given = pretrained(classes=2)
    state = {}
    for (names, *_), weight in zip(candidates(given), given.get_weights(), strict=True):
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(weight.ndim)
        state[names[0]] = np.ascontiguousarray(weight.transpose(order) if order else weight)
    save_file(state, tmp_path / "state.safetensors")
    model = build_model("resnet8", (16, 16, 1), classes)
    said = transfer.load_weights(model, str(tmp_path / "state.safetensors"))
    for one, two in zip(backbone_weights(model), backbone_weights(given), strict=True):
        np.testing.assert_array_equal(one, two)
    kernel = model.get_layer("logits").get_weights()[0]
    if classes == 2:
        np.testing.assert_array_equal(kernel, given.get_layer("logits").get_weights()[0])
        assert "zero" not in said
    else:
        assert not kernel.any()
        assert said.endswith("for 5, starts fresh; the head starts at zero")


def backbone_weights(model: keras.Model) -> list[np.ndarray]:
    return model.get_weights()[:-2]


@pytest.mark.parametrize("flip", [True, False])
def test_a_head_on_cached_features_is_the_head_behind_the_frozen_model(source: Source, flip: bool) -> None:
    cached, before, history = train(source, flip=flip)
    whole, _, other = train(source, flip=flip, cache_features="false")
    for model in (cached, whole):
        for old, new in zip(before[:-2], backbone_weights(model), strict=True):
            np.testing.assert_array_equal(new, old)
    # The head has moved by hundreds of times what the two may differ by.
    assert np.abs(cached.get_weights()[-2] - before[-2]).max() > 3e-3
    for one, two in zip(cached.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    for key in ("loss", "val_loss", "val_accuracy", "learning_rate"):
        assert [row[key] for row in history.history] == pytest.approx(
            [row[key] for row in other.history], abs=1e-5
        )


def test_unfreezing_goes_on_where_the_head_stopped_cached_or_not(source: Source) -> None:
    runs = [train(source, unfreeze_at=2, layer_decay=0.5, cache_features=c) for c in ("true", "false")]
    rate = cosine_with_warmup(0.05, steps=4 * 4, warmup_steps=2)
    expected = [float(rate(4 * epoch)) for epoch in (1, 2, 3, 4)]
    for model, before, fitted in runs:
        assert [row["epoch"] for row in fitted.history] == [1, 2, 3, 4]
        assert [row["learning_rate"] for row in fitted.history] == pytest.approx(expected, abs=1e-7)
        moved = [np.abs(a - b).max() for a, b in zip(before[:-2], backbone_weights(model), strict=True)]
        # The model holds its best epoch: of the frozen phase, or of the one in which everything learns.
        assert max(moved) == 0 if fitted.best_epoch <= 2 else min(moved) > 0
    losses = [[row["loss"] for row in fitted.history] for _, _, fitted in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_freezing_a_stage_leaves_the_later_ones_learning(source: Source) -> None:
    model, before, _ = train(source, freeze="stage2", epochs=1)
    changed = [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)]
    names = [w.path.split("_")[0].split("/")[0] for w in model.weights]
    assert {name for name, moved in zip(names, changed, strict=True) if moved} == {"stage3", "logits"}
    assert not any(moved for name, moved in zip(names, changed, strict=True) if name in ("stem", "stage1"))


def test_features_are_found_again_and_only_for_the_same_question(
    source: Source, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(model: keras.Model, preprocess: Preprocess = PREPROCESS) -> features.Features:
        backbone = keras.Model(model.inputs, model.get_layer("features").output)
        splits = {"train": source.train}
        return features.cached_features(
            backbone, splits, preprocess, source.fingerprint, frozenset({"train"})
        )["train"]

    model = pretrained()
    first = ask(model)
    assert first.views.shape == (2, len(source.train), 64)
    images = np.stack([PREPROCESS.on_array(image) for image in source.train.images]).astype("float32")  # type: ignore[union-attr]
    backbone = keras.Model(model.inputs, model.get_layer("features").output)
    np.testing.assert_allclose(first.views[0], backbone.predict(images, verbose=0), atol=1e-5)
    np.testing.assert_allclose(first.views[1], backbone.predict(images[:, :, ::-1], verbose=0), atol=1e-5)
    assert len(list(cache.iterdir())) == 2
    capsys.readouterr()
    np.testing.assert_array_equal(ask(model).views, first.views)
    assert capsys.readouterr().out.count("read from") == 2
    next(cache.iterdir()).write_bytes(b"half a fi")
    np.testing.assert_array_equal(ask(model).views, first.views)
    assert capsys.readouterr().out.count("read from") == 1
    ask(model, Preprocess(size=(16, 16), colour="grey", resize="stretch"))
    model.get_layer("stem_bn").set_weights([w + 1 for w in model.get_layer("stem_bn").get_weights()])
    ask(model)
    assert "read from" not in capsys.readouterr().out
    assert len(list(cache.iterdir())) == 6


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"crop": "auto"}, True),
        ({"crop": "random_resized"}, False),
        ({"mixup": 0.2}, False),
        ({"erasing": 0.5}, False),
        ({"mixup": 0.2, "cache_features": "true"}, True),
        ({"cache_features": "false"}, False),
        ({"freeze": "stage3"}, False),
    ],
)
def test_when_features_are_cached(settings: dict[str, Any], expected: bool) -> None:
    assert transfer.wants_cache(Config().replace(**{**SETTINGS, **settings})) is expected


def test_what_caching_rules_out_is_said() -> None:
    given = Config().replace(**{**SETTINGS, "crop": "pad", "mixup": 0.2})
    assert transfer.notes(given)[0].startswith("features are not cached, because of --crop pad, --mixup 0.2")
    assert "not applied" in transfer.notes(given.replace(cache_features="true"))[0]
    assert transfer.notes(Config().replace(**SETTINGS)) == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "none"}, "would keep random weights as they are"),
        ({"freeze": "stage9"}, "did you mean stage"),
        ({"freeze": "none", "unfreeze_at": 2}, "nothing is frozen"),
        ({"unfreeze_at": 4}, "--unfreeze-at 4: expected 0 (never), or fewer than --epochs 4"),
        ({"layer_decay": 1.5}, "--layer-decay 1.5: expected more than 0 and 1 at most"),
        ({"freeze": "stage1", "cache_features": "true"}, "name --freeze backbone"),
    ],
)
def test_contradictions_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        config = Config().replace(**{**SETTINGS, **settings})
        check_bounds(config)
        conflicts.check(config, methods.choose(config))
        transfer.frozen_until(config.transfer.freeze, "resnet8")
    assert message in str(error.value)


def test_a_recipe_may_write_true_without_quotes() -> None:
    assert Config().replace(cache_features=True).transfer.cache_features == "true"
