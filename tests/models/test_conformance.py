"""Every model of the zoo goes through the harness of `conformance`: a new row is picked up by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from conformance import answer, check_everything, check_logits, small

from imgrec.models import list_models

SLOW = {
    *(f"efficientnet_b{i}" for i in range(8)),
    *(f"efficientnet_lite{i}" for i in range(1, 5)),
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "resnet34",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet152",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "inception_v3",
    "coatnet_0",
    "mobilevit_xs",
    "mobilevit_s",
    "densenet121",
    "densenet169",
    "densenet201",
    "preact_resnet164",
    "preact_resnet1001",
    "vit_s_16",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "convnext_small",
    "convnext_base",
    "swin_s",
    "swin_b",
}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("resnet8", {"attention": "se", "width": 8, "dropout": 0.1}),
    ("resnet8", {"attention": "cbam", "stem_pool": True}),
    ("resnet8", {"attention": "occlusion", "width": 8}),
    ("resnet18", {"attention": "cbam", "small_stem": False}),
    ("resnet50", {"attention": "cbam", "dropout": 0.2}),
    ("vit_small_image", {"gelu": "tanh", "dropout": 0.1}),
]
CASES = [
    pytest.param(
        name,
        options,
        id="-".join([name, *(f"{key}={value}" for key, value in options.items())]),
        marks=[pytest.mark.slow] if name in SLOW else [],
    )
    for name, options in [*((name, {}) for name in list_models()), *OPTIONS]
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
