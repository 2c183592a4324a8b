"""Every family of the zoo can be explained: by a map where it has one, by rollout or in words where not."""

import keras
import numpy as np
import pytest
from explained import CLASSES, asked_of, network

from imgrec.errors import InputError
from imgrec.explain.methods import EXPLANATIONS, explain, fitting
from imgrec.models import MODELS, info
from imgrec.runtimes import of_model
from imgrec.spec import Spec

QUICK = {
    "lenet5",
    "resnet8",
    "mobilenet_v2",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vit_small_image",
    "mobilevit_xxs",
}
OPTIONS = {"integrated_gradients": {"steps": 1}, "occlusion": {"window": 28, "stride": 28}}
METHODS = [name for name in EXPLANATIONS if name not in ("gradcam_plus_plus", "hirescam")]
"""The other two see of a network what Grad-CAM does."""
PLAIN_TRANSFORMERS = {name for name in MODELS if name.startswith("vit_")}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in MODELS]
)
def test_explanations_of(name: str) -> None:
    side = max(info(name).min_size, 64 if name == "vit_b_32" else 32)  # of one patch no map can be made
    model = network(name, (side, side, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    asked = asked_of(model, images)
    plain = name in PLAIN_TRANSFORMERS
    assert fitting(of_model(model)) == ("rollout" if plain else "gradcam")
    for method in METHODS:
        spec = Spec(method, options=OPTIONS.get(method, {}))
        if (method == "rollout") != plain and method not in OPTIONS:
            with pytest.raises(InputError, match=f"--explain {method}: {name} .*take "):
                explain(asked, spec)
            continue
        maps = explain(asked, spec)
        assert maps.values.shape == (2, side, side) and maps.values.dtype == np.float32
        assert np.isfinite(maps.values).all() and len(maps.notes) == 2, method
        assert maps.about_class == (method != "rollout")
        assert np.ptp(maps.values) > 0 or all("empty" in note or "flat" in note for note in maps.notes), (
            method
        )
    assert len(CLASSES) == model.output_shape[-1]
    keras.backend.clear_session()
