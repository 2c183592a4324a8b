"""Rollout, integrated gradients and occlusion against closed forms and plain loops."""

import keras
import numpy as np
import pytest
from explained import CLASSES, asked_of, network, pixels

from imgrec.errors import InputError
from imgrec.explain import rollout
from imgrec.explain.asked import Asked
from imgrec.explain.gradients import derivative
from imgrec.explain.integrated import attributed, gaps
from imgrec.explain.methods import EXPLANATIONS, explain, looks_inside, parse
from imgrec.runtimes import Runtime
from imgrec.spec import Spec
from imgrec.tasks.multiclass import Multiclass


def plain_rollout(weights: list[np.ndarray], image: int) -> np.ndarray:
    """The paper's recursion, token by token."""
    count = weights[0].shape[-1]
    flow = np.eye(count)
    for block in weights:
        step = np.zeros((count, count))
        for query in range(count):
            for key in range(count):
                heads = [block[image, head, query, key] for head in range(block.shape[1])]
                step[query, key] = 0.5 * sum(map(float, heads)) / len(heads) + 0.5 * (query == key)
            step[query] /= step[query].sum()
        flow = step @ flow
    return flow


@pytest.mark.parametrize("name", ["vit_small_image", "vit_ti_16"])
def test_rollout_equals_a_plain_loop(name: str) -> None:
    side = {"vit_small_image": 16, "vit_ti_16": 48}[name]
    model, images = network(name, (side, side, 3)), pixels((side, side, 3), 2)
    weights = rollout.weights_of(model, images)
    assert len(weights) == {"vit_small_image": 6, "vit_ti_16": 12}[name]
    for block in weights:
        np.testing.assert_allclose(block.sum(-1), 1, atol=1e-5)
    flow = rollout.tokens_reached(weights)
    values = explain(asked_of(model, images), Spec("rollout")).values
    for image in range(2):
        plain = plain_rollout(weights, image)
        np.testing.assert_allclose(flow[image], plain, rtol=1e-9)
        # A class token stands first; without one the network takes the mean of all.
        row = plain[0, 1:] if name == "vit_ti_16" else plain.mean(axis=0)
        places = int(np.sqrt(row.size))
        corner = (row - row.min()).reshape(places, places)[0, 0]
        assert values[image, 0, 0] == pytest.approx(corner, abs=1e-6)


def test_attention_is_what_the_layer_mixes_by() -> None:
    """With the identity for values and projection, the layer's output is its attention."""
    model = network("vit_small_image", (16, 16, 1))
    layer = model.get_layer("stage1_attention")
    tokens = np.random.default_rng(0).normal(size=(2, 16, 128)).astype(np.float32)
    weights = keras.ops.convert_to_numpy(layer.attention(tokens))
    qkv = tokens.reshape(-1, 128) @ layer.qkv.kernel.numpy() + layer.qkv.bias.numpy()
    value = qkv[:, 256:].reshape(2, 16, 4, 32).transpose(0, 2, 1, 3)
    mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(-1, 128)
    expected = mixed @ layer.projection.kernel.numpy() + layer.projection.bias.numpy()
    np.testing.assert_allclose(layer(tokens).numpy().reshape(-1, 128), expected, atol=1e-5)


def test_rollout_refuses_networks_without_it() -> None:
    for name, shape in (("resnet8", (28, 28, 1)), ("mobilevit_xxs", (32, 32, 3))):
        with pytest.raises(InputError, match=rf"--explain rollout: {name} is no plain transformer.*gradcam"):
            explain(asked_of(network(name, shape), pixels(shape)), Spec("rollout"))


def linear(shape: tuple[int, int, int]) -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input(shape, name="image")
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(image))
    return keras.Model(image, logits, name="linear")


@pytest.mark.parametrize("baseline", [0.0, 100.0])
def test_integrated_gradients_of_a_linear_model_are_weight_times_way(baseline: float) -> None:
    shape = (5, 4, 3)
    model = linear(shape)
    asked = asked_of(model, pixels(shape))
    maps = explain(asked, Spec("integrated_gradients", options={"steps": 3, "baseline": baseline}))
    kernel = model.get_layer("logits").kernel.numpy().astype(np.float64)
    for image, index, found in zip(asked.images, asked.classes, maps.values, strict=True):
        exact = kernel[:, index].reshape(shape) * (image.astype(np.float64) - baseline)
        np.testing.assert_allclose(found, exact.sum(axis=-1), rtol=1e-4, atol=1e-3)
    assert all(float(note.split()[2]) < 0.01 for note in maps.notes), maps.notes


def test_integrated_gradients_add_up_better_with_more_steps() -> None:
    model = network("resnet8")
    asked = asked_of(model, pixels())
    derive = derivative(model, "integrated_gradients")
    found = {
        steps: gaps(
            asked,
            np.stack(
                [
                    attributed(derive, each, asked, steps, 0.0)
                    for each in zip(asked.images, asked.classes, strict=True)
                ]
            ),
            0.0,
        )
        for steps in (1, 128)
    }
    assert found[128].max() < 0.05 and found[128].mean() < found[1].mean() / 4
    (note, *_) = explain(asked, Spec("integrated_gradients", options={"steps": 1})).notes
    assert note.endswith("wide, take more steps") == (found[1][0] > 0.05)


SPOT = (slice(8, 16), slice(16, 24))


def bright_spot(images: np.ndarray) -> np.ndarray:
    """Scores of a model that says `bee` as surely as the spot is bright."""
    bright = images[:, SPOT[0], SPOT[1]].mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - bright, bright, np.zeros(len(images))], axis=1).astype(np.float32)


def test_occlusion_finds_what_a_file_without_gradients_looks_at() -> None:
    image = np.zeros((1, 32, 32, 1), np.uint8)
    image[0, *SPOT] = 255
    asked = Asked(
        Runtime("spot.tflite", (32, 32, 1), (3,), bright_spot, 4, scored=True),
        Multiclass(CLASSES),
        image,
        np.array([1]),
    )
    maps = explain(asked, Spec("occlusion", options={"window": 8, "stride": 8}))
    expected = np.zeros((32, 32))
    # The square has the mean level of the picture, rounded: 255 / 16.
    expected[SPOT] = 1 - np.rint(255 / 16) / 255
    np.testing.assert_allclose(maps.values[0], expected, atol=1e-6)
    assert maps.notes == ("hiding one square costs 94 points of the score at most",)
    assert maps.method == "occlusion(window=8, stride=8)"
    fine = explain(asked, Spec("auto"))
    assert fine.method == "occlusion(window=5, stride=2)" and (fine.values[0, 8:16, 16:24] > 0).all()
    assert np.unravel_index(fine.values[0].argmax(), (32, 32))[0] in range(8, 16)


def test_occlusion_hides_every_pixel_whatever_the_sides() -> None:
    def answer(images: np.ndarray) -> np.ndarray:
        return np.full((len(images), 3), 0.5, np.float32)

    for shape in ((7, 13, 3), (28, 28, 1), (9, 4, 1)):
        asked = Asked(
            Runtime("flat", shape, (3,), answer, 8, scored=True),
            Multiclass(CLASSES),
            pixels(shape),
            np.zeros(3, int),
        )
        for options in ({}, {"window": 3, "stride": 2}, {"window": 4, "stride": 4}):
            maps = explain(asked, Spec("occlusion", options=options))
            assert np.isfinite(maps.values).all() and maps.notes[0].endswith("the map is flat")


def test_what_does_not_fit_is_said() -> None:
    def refused(line: str, asked: Asked | None = None) -> str:
        with pytest.raises(InputError) as caught:
            explain(asked or asked_of(network("lenet5"), pixels()), parse(line)[0])
        return str(caught.value)

    file = Asked(
        Runtime("a.tflite", (28, 28, 1), (3,), bright_spot, 4, scored=True),
        Multiclass(CLASSES),
        pixels(),
        np.zeros(3, int),
    )
    for name in set(EXPLANATIONS) - {"occlusion"}:
        assert refused(name, file).startswith(
            f"--explain {name}: a.tflite is a file, which has no gradients; name"
        )
    assert "unknown explanation 'gradcan': did you mean gradcam" in refused("gradcan")
    assert "unknown option of explanation gradcam 'layer': known: endpoint" in refused("gradcam(layer=3)")
    assert "got 3, expected name=value" in refused("gradcam(3)")
    assert "window=99.0" in refused("occlusion(window=99)") or "window=99" in refused("occlusion(window=99)")
    assert "stride=9: expected at most the window of 4" in refused("occlusion(window=4, stride=9)")
    assert "steps=0: expected a number from 1" in refused("integrated_gradients(steps=0)")
    assert "baseline=256: expected a number from 0 to 255" in refused("integrated_gradients(baseline=256)")
    assert [looks_inside(parse(line)) for line in ("auto", "occlusion", "gradcam|occlusion")] == [
        True,
        False,
        True,
    ]


def test_a_backend_without_gradients_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(InputError, match=r"on the tensorflow or jax backend, and Keras runs on numpy"):
        derivative(network("lenet5"), "gradcam")
