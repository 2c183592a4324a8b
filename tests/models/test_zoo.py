"""Parameter counts, options and refusals."""

import re
from typing import Any

import keras
import numpy as np
import pytest
from families import smallest_of_each_family
from published import GMACS, NO_PUBLISHED_MACS, PARAMETERS

from imgrec.compression import qat
from imgrec.compression.cost import parts
from imgrec.errors import InputError
from imgrec.layers.deformable import DeformableConv2D
from imgrec.models import MODELS, alexnet, build_model, info

WITH_ATTENTION = [
    ("resnet18", "se", 11_778_592),
    ("resnet50", "se", 28_088_024),
    ("resnet50", "cbam", 28_089_592),
]
"""Arithmetic on the papers' layouts, r = 16; SENet and CBAM print 28.09M for the two ResNet-50."""


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_every_model_has_a_published_count() -> None:
    assert {name: info(name).parameters for name in MODELS} == {name: PARAMETERS.get(name) for name in MODELS}
    assert all(row.name == name for name, row in MODELS.items())


QUICK = smallest_of_each_family()


def macs_of(model: keras.Model) -> int:
    (whole,) = parts(model, ("logits",))
    return whole.macs


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in list(MODELS)]
)
def test_parameters_and_macs(name: str) -> None:
    row = info(name)
    shape = (row.image_size, row.image_size, row.channels)
    model = build_model(name, shape, row.num_classes)
    assert trainable(model) == PARAMETERS[name]
    assert {"stem", "stage1", "features", "logits"} <= {layer.name for layer in model.layers}
    macs = macs_of(model)
    assert macs == row.macs
    if name in GMACS:
        printed = GMACS[name]
        last_digit = 10.0 ** -len(printed.partition(".")[2])
        assert macs / 1e9 == pytest.approx(float(printed), rel=0.01, abs=last_digit / 2)
    keras.backend.clear_session()


def test_multiply_accumulates_are_published_for_every_photo_model() -> None:
    without = {name for name in MODELS if name not in GMACS}
    assert without == set(NO_PUBLISHED_MACS)


@pytest.mark.parametrize(("name", "attention", "count"), WITH_ATTENTION)
def test_parameters_with_attention(name: str, attention: str, count: int) -> None:
    # Sizes do not change the count of a ResNet, stem aside.
    model = build_model(name, (32, 32, 3), 1000, attention=attention, small_stem=False)
    assert trainable(model) == count


def test_lenet_meets_28_pixel_digits_with_the_same_network() -> None:
    assert trainable(build_model("lenet5", (28, 28, 1), 10)) == 61_706


@pytest.mark.parametrize("side", [1, 3, 6, 7, 8, 12, 13, 18])
def test_alexnet_pools_as_adaptive_pooling_does(side: int) -> None:
    image = keras.Input((side, side, 2))
    model = keras.Model(image, alexnet._pool_to_grid(image))
    x = np.random.default_rng(0).normal(size=(1, side, side, 2)).astype(np.float32)
    grid = min(side, 6)
    # PyTorch's windows: from ⌊i·side/6⌋ to ⌈(i + 1)·side/6⌉.
    ends = [(i * side // grid, -(-(i + 1) * side // grid)) for i in range(grid)]
    expected = [[x[0, a:b, c:d].mean(axis=(0, 1)) for c, d in ends] for a, b in ends]
    np.testing.assert_allclose(model(x).numpy()[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "small"), [(64, True), (65, False)])
def test_resnet_spares_early_strides_up_to_64_pixels(size: int, small: bool) -> None:
    model = build_model("resnet18", (size, size, 3), 2)
    assert model.get_layer("stem").output.shape[1] == (size if small else 17)


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("resnet51", (32, 32, 3), {}, r"unknown model 'resnet51': did you mean .*resnet50"),
        ("resnet20", (32, 32, 3), {"widht": 8}, r"unknown option of resnet20 'widht': did you mean width\?"),
        ("resnet20", (32, 32, 3), {"depths": (1, 1, 1)}, r"unknown option of resnet20 'depths'"),
        ("resnet20", (32, 32, 3), {"attention": "sa"}, r"unknown attention 'sa'.*cbam, none, occlusion, se"),
        (
            "resnet20",
            (32, 32, 3),
            {"deformable": "stage4"},
            r"unknown stage to make deformable 'stage4': did you mean .*known: none, stage1, stage2, stage3",
        ),
        ("resnet50", (32, 32, 3), {"deformable": 4}, r"deformable '4': .*known: none, stage1, .*stage4"),
        ("resnet20", (32, 32, 3), {"width": 0}, r"width=0: expected a positive"),
        ("resnet20", (32, 32, 3), {"stem_pool": "yes"}, r"stem_pool='yes': expected true or false"),
        ("resnet20", (32, 32, 3), {"dropout": 1.5}, r"dropout=1.5: expected a share"),
        ("resnet50", (32, 32, 3), {"small_stem": "no"}, r"small_stem='no': expected true or false"),
        ("vit_small_image", (32, 32, 3), {"gelu": "fast"}, r"gelu='fast': expected exact or tanh"),
        ("resnet20", (32, 32), {}, r"got input shape \(32, 32\), expected \(height, width, channels\)"),
        ("resnet20", (32, 32, 4), {}, r"channels 1 or 3"),
        ("lenet5", (8, 8, 1), {}, r"lenet5: got 8×8 px, expected at least 12×12"),
        ("alexnet", (62, 62, 3), {}, r"alexnet: got 62×62 px, expected at least 63×63"),
        ("resnet50", (8, 64, 3), {}, r"resnet50: got 8×64 px, expected at least 16×16"),
        ("resnet50", (28, 28, 3), {"small_stem": False}, r"at least 32×32 with small_stem=false"),
        ("resnet8", (12, 12, 3), {"stem_pool": True}, r"at least 16×16 with stem_pool=true"),
        ("vit_ti_16", (16, 16, 3), {}, r"vit_ti_16: got 16×16 px, expected at least 32×32"),
        ("vit_ti_16", (100, 100, 3), {}, r"vit_ti_16: got 100×100 px, .* multiples of 16, such as 96"),
    ],
)
def test_refusals(name: str, shape: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build_model(name, shape, 3, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("classes", [1, 0, -3, 2.5])
def test_refuses_too_few_classes(classes: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"resnet8: got {classes!r} classes")):
        build_model("resnet8", (28, 28, 1), classes)


def test_facts() -> None:
    row = info("resnet20")
    assert row.options == {
        "attention": "none",
        "deformable": "none",
        "width": 16,
        "stem_pool": False,
        "dropout": 0.0,
    }
    assert row.endpoints == ("stem", "stage1", "stage2", "stage3", "features", "logits")
    assert (row.image_size, row.min_size) == (32, 8)
    assert info("resnet50").mean == pytest.approx(255 * np.array([0.485, 0.456, 0.406]))
    assert info("resnet50").std == pytest.approx(255 * np.array([0.229, 0.224, 0.225]))


def test_a_deformable_stage_starts_as_a_plain_one() -> None:
    """Offsets of zero and weights of a half: twice the kernel gives the plain network's answer."""
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    plain = build_model("resnet14", (32, 32, 3), 5)
    bent = build_model("resnet14", (32, 32, 3), 5, deformable="stage2")
    guides = 0
    for ours in bent.layers:
        theirs = plain.get_layer(ours.name)
        if isinstance(ours, DeformableConv2D):
            ours.kernel.assign(2 * theirs.kernel)
            guides += sum(int(np.prod(weight.shape)) for weight in ours.guide.trainable_weights)
        else:
            ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(bent(pixels).numpy(), plain(pixels).numpy(), rtol=1e-3, atol=1e-4)
    # 27 numbers of 3×3 windows and a bias each: of 16 channels once, of 32 three times.
    assert guides == 27 * (9 * 16 + 1) + 3 * 27 * (9 * 32 + 1) == trainable(bent) - trainable(plain)
    # At 16×16 positions, once more what that many weights multiply.
    assert macs_of(bent) - macs_of(plain) == 256 * 27 * 9 * (16 + 3 * 32)
    with pytest.raises(InputError, match=r"stage2_block1_conv1 \(DeformableConv2D\).*or --quantize none"):
        qat.check(bent)


def test_parts_add_up_to_the_whole() -> None:
    model = build_model("resnet18", (64, 64, 3), 10, attention="se", small_stem=False)
    found = parts(model, info("resnet18").endpoints)
    assert [part.shape for part in found][:3] == [(16, 16, 64), (16, 16, 64), (8, 8, 128)]
    assert sum(part.parameters for part in found) == trainable(model)
    assert sum(part.macs for part in found) == macs_of(model)
    # 7×7×3×64 at 32×32 positions; 512 × 10.
    assert (found[0].macs, found[-1].macs) == (9_633_792, 5_120)
    assert found[-1].parameters == 5_130


def test_attention_products_are_counted() -> None:
    model = build_model("vit_small_image", (8, 8, 1), 10)
    # Four tokens of 128: patches 4·16·128, six blocks of 12·128² a token less half the MLP and two 4×4
    # products of 128, the head.
    block = 4 * (4 * 128 * 128 + 2 * 128 * 256) + 2 * 4 * 4 * 128
    assert macs_of(model) == 4 * 16 * 128 + 6 * block + 1_280
