"""Several networks as one flat model, from what run.json says of them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.guards import keras_file
from imgrec.models.ensemble import fusion, joined, put_members, spread_out
from imgrec.models.outline import outline
from imgrec.models.widths import rebuilt


def record(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "input_shape": [32, 32, 3], "num_classes": 4, "options": options}


def together(*members: dict[str, Any], **options: Any) -> dict[str, Any]:
    plain = {"how": "soft", "groups": [1] * len(members), "activation": "softmax"}
    return {**record("ensemble"), "options": {**plain, **options}, "members": list(members)}


PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
MIXED = together(
    record("resnet8", width=8),
    record("resnet8", width=8),
    record("resnet8", attention="occlusion"),
    record("squeezenet1_1"),
    record("vit_small_image"),
    how="weighted",
)


def test_members_answer_as_they_do_alone_and_the_file_holds_them(tmp_path: Path) -> None:
    members = [rebuilt(each) for each in MIXED["members"]]
    model = rebuilt(MIXED)
    shares = np.array([0.1, 0.2, 0.3, 0.3, 0.1], "float32")
    put_members(model, members, [shares])
    own, *theirs = spread_out(model)(PIXELS, training=False)
    alone = [member(PIXELS, training=False) for member in members]
    for one, other in zip(theirs, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    mixed = sum(share * keras.ops.softmax(each) for share, each in zip(shares, alone, strict=True))
    np.testing.assert_allclose(keras.ops.softmax(own), mixed, atol=1e-5)

    model.save(tmp_path / "model.keras")
    weights = [(tuple(weight.shape), str(weight.dtype)) for weight in outline(MIXED).weights]
    keras_file.check(tmp_path / "model.keras", weights)
    again = rebuilt(MIXED)
    again.load_weights(tmp_path / "model.keras")
    np.testing.assert_allclose(again(PIXELS, training=False), own, atol=1e-6)


def test_it_is_flat_and_its_layers_have_names_of_their_members() -> None:
    model = rebuilt(MIXED)
    names = [layer.name for layer in model.layers]
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert names[0] == "image" and names[-1] == "logits" and fusion(model) is model.layers[-1]
    assert all(name.startswith(("m1_", "m2_", "m3_", "m4_", "m5_")) for name in names[1:-1])
    assert {f"m{number}_features" for number in range(1, 6)} <= set(names)
    assert model.output.dtype == "float32" and model.output.shape == (None, 4)


def test_no_other_model_has_members() -> None:
    plain = rebuilt(record("resnet8"))
    assert fusion(plain) is None
    with pytest.raises(InputError, match="is no ensemble"):
        spread_out(plain)


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        (together(record("resnet8")), "1 members, expected 2 to 64"),
        (
            together(record("resnet8"), {**record("resnet8"), "num_classes": 5}),
            "expected one image size and one",
        ),
        (together(record("resnet8"), record("nonet")), "unknown model 'nonet'"),
        (
            together(record("resnet8"), together(record("resnet8"), record("resnet8"))),
            "is an ensemble itself",
        ),
        (together(record("resnet8"), {"name": "resnet8"}), "its model has no input_shape"),
        (together(record("resnet8"), "resnet8"), "its model has no name"),
        ({**record("ensemble"), "members": "resnet8"}, "no list of members"),
        ({**record("ensemble"), "members": [record("resnet8")] * 65}, "more than 64"),
        (together(record("resnet8"), record("resnet8"), groups=[3]), r"2 members in groups of \[3\]"),
        (together(record("resnet8"), record("resnet8"), how="loud"), "how='loud'"),
        (together(record("resnet8"), record("resnet8"), trainable=True, path="x"), "cannot be built"),
    ],
)
def test_a_wrong_record_is_refused(recorded: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        outline(recorded)


def test_members_of_one_size_only() -> None:
    small = rebuilt({**record("resnet8"), "input_shape": [28, 28, 3]})
    with pytest.raises(InputError, match="expected one image size"):
        joined([small, rebuilt(record("resnet8"))])
