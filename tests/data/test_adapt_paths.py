"""Adaptive steps as a part of preprocess.json: one result on every path, from training to serving."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import encode, picture
from targets import feed, one_hot

from benchmarks import degrade
from imgrec.config import AugmentConfig
from imgrec.data.augment.compose import compose
from imgrec.data.cache import Cache
from imgrec.data.decode import decode
from imgrec.data.loading import load_arrays, triggered
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import evaluation_dataset, training_dataset, training_order
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.runtimes import Runtime
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multiclass import Multiclass

LINE = "lowlight|dehaze|stretch|balance|denoise"
PROCESS = Preprocess((32, 40), adapt=LINE)


def scenes():
    """Images of many sizes: as they are, dark, hazy and tinted."""
    draw = np.random.default_rng(0)
    for height, width in ((61, 83), (32, 40), (90, 45), (33, 34)):
        scene = picture(height, width)
        scene[4:12, 4:20] = 0
        scene[20:28, 4:20] = 255
        yield scene
        yield degrade.low_light(scene, 4, draw)
        yield degrade.haze(scene, 1.2, 0.9, degrade.scene_depth(height, width, draw))
        yield (scene * [1.0, 0.6, 0.3]).astype(np.uint8)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("scenes"), []
    for number, scene in enumerate(scenes()):
        for kind in ("PNG", "JPEG"):
            paths.append(str(folder / f"{number:02d}.{kind.lower()}"))
            (folder / paths[-1]).write_bytes(encode(scene, kind))
    return Split(tuple(paths), np.arange(len(paths), dtype=np.int32) % 2, paths=tuple(paths))


def recording(seen, process):
    """A predictor whose model notes the pixels that reach it."""

    def answer(images):
        seen.append(images)
        return np.zeros((len(images), 2), np.float32)

    return Predictor(Runtime("noted", process.shape, (2,), answer), process, Multiclass(("a", "b")))


@pytest.mark.parametrize(("resize", "colour"), [("crop", "rgb"), ("letterbox", "grey")])
def test_training_evaluation_and_serving_see_equal_pixels(split, resize, colour):
    process = replace(PROCESS, resize=resize, colour=colour)
    plain = replace(process, adapt="none")
    expected = np.stack([process.on_bytes(Path(path).read_bytes()) for path in split.paths])
    assert (expected != [plain.on_file(path) for path in split.paths]).any(axis=(1, 2, 3)).mean() > 0.3
    assert np.array_equal(load_arrays(split, process), expected)
    seen = []
    recording(seen, process).predict_files(split.paths)
    assert np.array_equal(np.concatenate(seen), expected)
    natural = training_order(order_of(split.labels, "natural", 3), 8, steps=4)
    order = np.concatenate([batch["index"].numpy() for batch in natural])
    for cache in (Cache("none"), Cache("memory")):
        batches = [
            x.numpy() for x, _ in evaluation_dataset(split, process, one_hot(2), batch_size=7, cache=cache)
        ]
        assert np.array_equal(np.concatenate(batches), expected.astype(np.float32))
        augment = AugmentConfig(crop="none", flip=False)
        dataset = training_dataset(split, feed(process, 2, augment, 8, 3, cache=cache), steps=4)
        assert np.array_equal(np.concatenate([b[0] for b in dataset]), expected[order].astype(np.float32))


def test_a_random_crop_is_one_of_the_adapted_whole_picture(split):
    augment = AugmentConfig(crop="random_resized", flip=False)
    batch = next(iter(training_dataset(split, feed(PROCESS, 2, augment, 8, 3), steps=1)))[0].numpy()
    crop = compose("resized_crop", PROCESS.size, 3)
    order = order_of(split.labels, "natural", 3)
    for place, index in enumerate(next(iter(training_order(order, 8, steps=1)))["index"].numpy()):
        whole = PROCESS.whole(decode(Path(split.paths[index]).read_bytes(), PROCESS.max_pixels))
        assert np.array_equal(crop(whole, 0, int(index)), batch[place])


def test_arrays_of_the_right_size_are_adapted_too():
    draw = np.random.default_rng(0)
    good = np.stack([picture(32, 40)] * 3)
    dark = np.stack([degrade.low_light(scene, 3, draw) for scene in good])
    images = np.concatenate([good, dark])
    split = Split(tuple("abcdef"), np.zeros(6, np.int32), images=images)
    result = load_arrays(split, PROCESS)
    assert np.array_equal(result, np.stack([PROCESS.on_array(image) for image in images]))
    assert np.array_equal(result[:3], good) and result[3:].mean() > 2 * dark.mean()
    (batch, _), *_ = evaluation_dataset(split, PROCESS, one_hot(2), batch_size=6)
    assert np.array_equal(batch, result.astype(np.float32))
    assert triggered(split, PROCESS) == [()] * 3 + [("lowlight",)] * 3


def test_triggered_reads_files_as_they_are_prepared(split):
    fired = triggered(split, PROCESS)
    changed = [
        not np.array_equal(PROCESS.on_file(path), replace(PROCESS, adapt="none").on_file(path))
        for path in split.paths
    ]
    assert [bool(names) for names in fired] == changed
    assert {name for names in fired for name in names} >= {"lowlight", "dehaze", "balance"}


def test_preprocess_json_records_the_line_and_old_files_have_none():
    process = Preprocess((8, 8), adapt="lowlight(100)|dehaze(72)")
    assert json.loads(process.to_json())["adapt"] == "lowlight(100)|dehaze(72)"
    assert Preprocess.from_json(process.to_json()) == process
    old = {"size": [8, 8], "colour": "rgb", "resize": "crop", "crop_fraction": 1.0, "fill": 114,
           "max_pixels": 50000000, "antialias": True, "interpolation": "bilinear", "decoder": "opencv",
           "idct": "accurate", "exif_orientation": "applied", "format": 1}  # fmt: skip
    assert Preprocess.from_json(json.dumps(old)) == Preprocess((8, 8))
    for value, message in (("fog", "unknown adaptive step 'fog'"), (["dehaze"], "adapt is")):
        with pytest.raises(InputError, match=message):
            Preprocess.from_json(json.dumps({**old, "adapt": value}))
