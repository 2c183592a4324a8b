"""Reference checkpoints: names of both libraries, layouts, refusals."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.models.weights import candidates, load_state

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))


def draw(model: keras.Model, pick: int = 0) -> dict[str, np.ndarray]:
    """A checkpoint for `model`, each weight under its reference name number `pick`, PyTorch layout."""
    state = {}
    generator = np.random.default_rng(0)
    weights = [w for layer in model.layers for w in layer.variables if "seed_generator" not in w.path]
    for (names, *_), weight in zip(candidates(model), weights, strict=True):
        value = generator.normal(size=weight.shape).astype(np.float32)
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim)
        state[names[min(pick, len(names) - 1)]] = value.transpose(order) if order else value
    return state


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet50", "vit_ti_16"])
def test_names_are_those_of_the_reference(name: str) -> None:
    size = 63 if name == "alexnet" else 32
    model = build_model(name, (size, size, 3), 1000)
    assert [names[0] for names, *_ in candidates(model)] == list(
        dict.fromkeys(names[0] for names, *_ in candidates(model))
    )
    assert {names[0] for names, *_ in candidates(model)} == set(REFERENCE[name]["tensors"])


def test_torchvision_names_of_a_vit() -> None:
    # The names of torchvision's vit_b_16, first and last of each kind.
    model = build_model("vit_ti_16", (32, 32, 3), 10)
    state = draw(model, pick=1)
    assert {
        "class_token",
        "conv_proj.weight",
        "conv_proj.bias",
        "encoder.pos_embedding",
        "encoder.layers.encoder_layer_0.ln_1.weight",
        "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
        "encoder.layers.encoder_layer_0.self_attention.in_proj_bias",
        "encoder.layers.encoder_layer_0.self_attention.out_proj.weight",
        "encoder.layers.encoder_layer_11.ln_2.bias",
        "encoder.layers.encoder_layer_11.mlp.0.weight",
        "encoder.layers.encoder_layer_11.mlp.3.bias",
        "encoder.ln.weight",
        "heads.head.weight",
        "heads.head.bias",
    } <= set(state)
    assert len(state) == 152
    load_state(model, state)
    kernel = model.get_layer("stage1_attention").qkv.kernel.numpy()
    expected = state["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"]
    np.testing.assert_array_equal(kernel, expected.T)


def test_cbam_takes_the_authors_names() -> None:
    model = build_model("resnet18", (32, 32, 3), 10, attention="cbam")
    state = draw(model)
    assert state["layer1.0.cbam.ChannelGate.mlp.1.weight"].shape == (4, 64)
    assert state["layer1.0.cbam.ChannelGate.mlp.3.bias"].shape == (64,)
    assert state["layer4.1.cbam.SpatialGate.spatial.conv.weight"].shape == (1, 2, 7, 7)
    load_state(model, state | {"bn1.num_batches_tracked": np.array(7)})
    kernel = model.get_layer("stage4_block2_cbam").spatial.conv.kernel.numpy()
    expected = state["layer4.1.cbam.SpatialGate.spatial.conv.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, expected)


def test_nothing_is_assigned_unless_everything_fits() -> None:
    model = build_model("resnet8", (28, 28, 1), 10)
    before = [weight.numpy() for weight in model.weights]
    state = draw(model)
    with pytest.raises(InputError, match=r"resnet8: missing 1: fc.bias; left over 1: fc.beta"):
        load_state(model, {("fc.beta" if name == "fc.bias" else name): v for name, v in state.items()})
    with pytest.raises(InputError, match=r"wrong shapes 1: fc.weight \(7, 64\) for logits/kernel \(64, 10\)"):
        load_state(model, state | {"fc.weight": np.zeros((7, 64), np.float32)})
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    load_state(model, state)
    np.testing.assert_array_equal(model.get_layer("logits").kernel.numpy(), state["fc.weight"].T)


def test_models_without_a_reference_say_so() -> None:
    with pytest.raises(InputError, match="'lenet5': no reference names are known; known: alexnet"):
        load_state(build_model("lenet5", (28, 28, 1), 10), {})
