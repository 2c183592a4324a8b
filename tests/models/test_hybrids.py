"""CoAtNet and MobileViT where the reference logits do not look: small images, odd maps, int8."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_reference import fill, images

from imgrec.compression.qat import check
from imgrec.errors import InputError
from imgrec.models import build_model, info
from imgrec.models.weights import candidates, load_state

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "size", "sides"),
    [
        # A small stem: an eighth of the image at the end, not a thirty-second.
        ("mobilevit_xxs", 32, [32, 32, 32, 16, 8, 4]),
        ("mobilevit_xxs", 65, [33, 33, 17, 9, 5, 3]),
        pytest.param("coatnet_0", 28, [28, 28, 14, 7, 4], marks=pytest.mark.slow),
        pytest.param("coatnet_0", 65, [33, 17, 9, 5, 3], marks=pytest.mark.slow),
    ],
)
def test_sides_of_the_endpoints(name: str, size: int, sides: list[int]) -> None:
    model = build_model(name, (size, size, 1), 4)
    endpoints = info(name).endpoints[: len(sides)]
    assert [model.get_layer(endpoint).output.shape[1] for endpoint in endpoints] == sides


# timm 1.0.31's mobilevit_s on the images and weights of test_reference, but at 224 px: the first four
# logits of each, and the spread of all.
AT_224 = [[-6.022934, -25.900574, -1.570092, -13.897315], [-8.698184, -36.441925, -5.872799, -19.721138]]
SPREAD = 13.466348


@pytest.mark.slow
def test_maps_of_odd_sides_are_stretched_as_the_reference_does() -> None:
    # The last stage's map has 7×7 places, which make no whole 2×2 patches.
    row, reference = info("mobilevit_s"), REFERENCE["mobilevit_s"]
    model = build_model(row.name, (224, 224, 3), 1000)
    load_state(model, {n: fill(n, s, reference["gain"]) for n, s in reference["tensors"].items()})
    pixels = (images(224) * row.std + row.mean).astype(np.float32)
    logits = model(pixels, training=False).numpy()
    assert np.abs(logits[:, :4] - AT_224).max() <= 1e-3 * SPREAD
    assert logits.std() == pytest.approx(SPREAD, rel=1e-3)


@pytest.mark.parametrize("name", ["mobilevit_xxs", pytest.param("mobilevit_xs", marks=pytest.mark.slow)])
def test_every_mobilevit_has_the_names_of_the_reference(name: str) -> None:
    names = [names[0] for names, *_ in candidates(build_model(name, (32, 32, 3), 10))]
    assert len(set(names)) == len(names)
    assert set(names) == set(REFERENCE["mobilevit_s"]["tensors"])


@pytest.mark.parametrize(
    ("name", "size", "options", "message"),
    [
        ("mobilevit_xxs", 23, {}, "got 23×23 px, expected at least 24×24"),
        ("mobilevit_xxs", 64, {"small_stem": False}, "at least 65×65 with small_stem=false"),
        ("coatnet_0", 32, {"small_stem": False}, "at least 64×64 with small_stem=false"),
        ("coatnet_0", 32, {"stochastic_depth": 1.0}, "stochastic_depth=1.0: expected a share"),
    ],
)
def test_refusals(name: str, size: int, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(name, (size, size, 3), 4, **options)


@pytest.mark.parametrize(
    ("name", "size"), [("mobilevit_xxs", 28), pytest.param("coatnet_0", 16, marks=pytest.mark.slow)]
)
def test_every_step_has_an_int8_form(name: str, size: int) -> None:
    # 28 px make maps of 7 places, which are stretched to 8.
    check(build_model(name, (size, size, 3), 4))
