"""What ConvNeXt and Swin have that others do not: two sizes of patch, and rates that rise with depth."""

import keras
import numpy as np
import pytest

from imgrec.compression.fold import fold
from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.errors import InputError
from imgrec.layers.residual import StochasticDepth
from imgrec.layers.window import WindowAttention
from imgrec.models import build_model

SHAPE = (34, 32, 3)


@pytest.fixture(scope="module")
def convnext() -> keras.Model:
    return build_model("convnext_tiny", SHAPE, 5)


@pytest.fixture(scope="module")
def swin() -> keras.Model:
    return build_model("swin_t", SHAPE, 5)


def maps(model: keras.Model) -> list[tuple[int, ...]]:
    return [model.get_layer(f"stage{i}").output.shape[1:] for i in (1, 2, 3, 4)]


def rates(model: keras.Model) -> list[float]:
    return [layer.rate for layer in model.layers if isinstance(layer, StochasticDepth)]


def test_small_images_get_small_patches(convnext: keras.Model, swin: keras.Model) -> None:
    # ConvNeXt leaves out what is left of a side, Swin pads it: 17 rows become 8 or 9.
    assert maps(convnext) == [(17, 16, 96), (8, 8, 192), (4, 4, 384), (2, 2, 768)]
    assert maps(swin) == [(17, 16, 96), (9, 8, 192), (5, 4, 384), (3, 2, 768)]
    assert {layer.window for layer in swin.layers if isinstance(layer, WindowAttention)} == {4}


def test_branches_are_skipped_more_often_with_depth(convnext: keras.Model, swin: keras.Model) -> None:
    # torchvision's rule; the first block's rate is 0, which takes no layer.
    np.testing.assert_allclose(rates(convnext), [0.1 * i / 17 for i in range(1, 18)])
    np.testing.assert_allclose(rates(swin), np.repeat([0.2 * i / 11 for i in range(1, 12)], 2))


def test_stochastic_depth_of_a_vision_transformer() -> None:
    assert not rates(build_model("vit_small_image", (16, 16, 3), 5))
    found = rates(build_model("vit_small_image", (16, 16, 3), 5, stochastic_depth=0.1))
    np.testing.assert_allclose(found, np.repeat([0.02, 0.04, 0.06, 0.08, 0.1], 2))


def test_shifts_alternate_where_there_is_room(swin: keras.Model) -> None:
    shifts = [layer.shifts for layer in swin.layers if isinstance(layer, WindowAttention)]
    # Maps of 17×16, 9×8, 5×4 (six blocks) and 3×2 places: a window of 4 covers a side of 4 and less.
    assert shifts == [(0, 0), (2, 2), (0, 0), (2, 2), *[(0, 0), (2, 0)] * 3, (0, 0), (0, 0)]


def test_layer_scale_leaves_no_product_in_an_int8_file(convnext: keras.Model) -> None:
    graph = expand(convnext)
    found, problems = lower(graph)
    assert not problems
    kept, _ = fold(found, graph.output)
    assert [op.name for op in kept if op.kind in ("affine", "multiply_weight")] == ["normalize"]


def test_every_operation_of_swin_has_an_int8_form(swin: keras.Model) -> None:
    found, problems = lower(expand(swin))
    assert not problems
    assert max(len(value.shape) for op in found for value in (*op.inputs, *op.outputs)) == 4
    masks = [op.options["weight"] for op in found if op.name.endswith("attend_mask")]
    # 5×4 windows of 4×4 places, each with its mask, then 3×2, then 2×1 three times.
    assert [mask.shape for mask in masks] == [(1, n, 1, 256) for n in (20, 6, 2, 2, 2)]
    assert {float(mask.min()) for mask in masks} == {-16.0}


@pytest.mark.parametrize("name", ["convnext_tiny", "swin_t"])
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((15, 16, 3), {}, "got 15×16 px, expected at least 16×16"),
        ((31, 40, 3), {"small_stem": False}, "got 31×40 px, expected at least 32×32 with small_stem=false"),
        ((32, 32, 3), {"small_stem": "yes"}, "small_stem='yes': expected true or false"),
        ((32, 32, 3), {"stochastic_depth": 1.0}, "stochastic_depth=1.0: expected a share"),
    ],
)
def test_wrong_sizes_and_options(name: str, shape: tuple[int, int, int], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(name, shape, 5, **options)
