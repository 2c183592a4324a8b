"""Every model of the zoo goes through the harness of `conformance`: a new row is picked up by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from conformance import answer, check_everything, check_logits, small
from families import smallest_of_each_family

from imgrec.models import MODELS

# Families whose smallest member takes over ten seconds are left to the slow suite whole.
HEAVY = {"inception_v3", "densenet121", "coatnet_0"}
QUICK = smallest_of_each_family() - HEAVY
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("resnet8", {"attention": "se", "width": 8, "dropout": 0.1}),
    ("resnet8", {"attention": "cbam", "stem_pool": True}),
    ("resnet8", {"attention": "occlusion", "width": 8}),
    ("resnet8", {"deformable": "stage3", "width": 8}),
    ("resnet18", {"attention": "cbam", "small_stem": False}),
    ("resnet50", {"deformable": "stage4"}),
    ("resnet50", {"attention": "cbam", "dropout": 0.2}),
    ("vit_small_image", {"gelu": "tanh", "dropout": 0.1}),
]
CASES = [
    pytest.param(
        name,
        options,
        id="-".join([name, *(f"{key}={value}" for key, value in options.items())]),
        marks=[] if name in QUICK else [pytest.mark.slow],
    )
    for name, options in [*((name, {}) for name in list(MODELS)), *OPTIONS]
]


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_conformance(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    check_everything(name, options, tmp_path)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_grey_pictures(name: str, options: dict[str, Any]) -> None:
    model, pixels = small(name, options, channels=1)
    check_logits(answer(model, pixels))
