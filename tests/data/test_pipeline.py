import numpy as np
import pytest
from pictures import picture, write_classes
from targets import feed, one_hot

from imgrec.config import AugmentConfig, DataConfig
from imgrec.data import pipeline
from imgrec.data.augment.compose import compose
from imgrec.data.cache import Cache
from imgrec.data.loading import load_arrays
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import (
    evaluation_dataset,
    steps_per_epoch,
    training_dataset,
    training_order,
)
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.load import load_source

PLAIN = AugmentConfig(crop="none", flip=False)
FULL = AugmentConfig(crop="pad", flip=True, mixup=0.2, cutmix=1.0)


@pytest.fixture(scope="module")
def split():
    """Fifty images of five classes; the top left pixel tells which one it is."""
    images = np.stack([picture(12, 12, phase=float(n)) for n in range(50)])
    images[:, 0, 0, 0] = np.arange(50)
    return Split(tuple(f"{n}" for n in range(50)), np.arange(50, dtype=np.int32) % 5, images=images)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    write_classes(root, {"a": 20, "b": 20, "c": 20}, size=20)
    return load_source(DataConfig(data=str(root)), 0).train


def batches(
    split, augment, steps, start_step=0, seed=0, size=(12, 12), classes=5, batch_size=8, cache="none"
):
    place = {"steps": steps, "start_step": start_step}
    dataset = training_dataset(
        split, feed(Preprocess(size), classes, augment, batch_size, seed, cache=Cache(cache)), **place
    )
    return [(images.numpy(), targets.numpy()) for images, targets in dataset]


def equal(first, second):
    return len(first) == len(second) and all(
        np.array_equal(a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_batches_are_float_pixels_and_one_hot_targets(split):
    (images, targets), *_ = batches(split, PLAIN, 2)
    assert images.shape == (8, 12, 12, 3) and images.dtype == targets.dtype == np.float32
    index = images[:, 0, 0, 0].astype(int)
    assert np.array_equal(images, split.images[index]) and np.array_equal(targets, np.eye(5)[index % 5])


def test_an_epoch_shows_every_image_and_the_next_in_another_order(split):
    steps = steps_per_epoch(len(split), 8)
    assert steps == 7
    shown = np.concatenate([images[:, 0, 0, 0] for images, _ in batches(split, PLAIN, 3 * steps)]).reshape(
        3, -1
    )
    for epoch in shown:
        assert sorted(epoch[:50]) == list(range(50)), "each once, before any comes again"
    assert not np.array_equal(shown[0], shown[1])
    assert len(set(map(tuple, shown[:, 50:]))) == 3, "what fills the last batch is drawn anew"


def test_what_fills_a_batch_is_changed_in_other_ways(split):
    places = [
        (int(e), int(i))
        for batch in training_order(order_of(split.labels, "natural", 0), 8, steps=21)
        for e, i in zip(batch["epoch"], batch["index"], strict=True)
    ]
    assert len(set(places)) == 21 * 8, "no image meets the same draws twice"


def test_images_that_divide_evenly_come_as_ever(split):
    """The numbers of this order are those of all versions before."""
    order = order_of(split.labels, "natural", 0)
    seen = np.concatenate([b["index"] for b in training_order(order, 10, steps=10)])
    expected = [order.index_at(np.int64(p // 50), np.int64(p % 50))["index"] for p in range(100)]
    assert seen.tolist() == [int(e) for e in expected]


@pytest.mark.parametrize("augment", [PLAIN, FULL, AugmentConfig(crop="random_resized", cutmix=1.0)])
def test_equal_seeds_give_equal_batches_and_any_step_can_be_resumed(split, augment):
    whole = batches(split, augment, 14)
    assert equal(whole, batches(split, augment, 14))
    assert equal(whole[9:], batches(split, augment, 5, start_step=9))
    assert not equal(whole, batches(split, augment, 14, seed=1))


def test_the_same_image_differs_between_epochs(split):
    one = Split(split.ids[:8], split.labels[:8], images=split.images[:8])
    (first, _), (second, _) = batches(one, AugmentConfig(crop="pad"), 2)
    by_epoch = [{image.tobytes() for image in images} for images in (first, second)]
    assert len(by_epoch[0] & by_epoch[1]) < 4


def test_a_set_smaller_than_a_batch_is_one_batch(split):
    few = Split(split.ids[:3], split.labels[:3], images=split.images[:3])
    assert steps_per_epoch(3, 8) == 1
    found = batches(few, PLAIN, 4)
    assert [len(images) for images, _ in found] == [3] * 4
    assert all(set(images[:, 0, 0, 0]) == {0, 1, 2} for images, _ in found)


@pytest.mark.parametrize("augment", [PLAIN, FULL])
def test_files_in_memory_and_from_disk_give_equal_batches(files, augment):
    kept = batches(files, augment, 12, size=(16, 16), classes=3, cache="memory")
    assert equal(kept, batches(files, augment, 12, size=(16, 16), classes=3))


def test_files_and_arrays_give_equal_crops(files):
    process = Preprocess((20, 24))
    arrays = Split(files.ids, files.labels, images=load_arrays(files, process))
    augment = AugmentConfig(crop="random_resized")
    assert equal(
        batches(files, augment, 8, size=(16, 16), classes=3),
        batches(arrays, augment, 8, size=(16, 16), classes=3),
    )


LINE = "crop(pad=2)|flip|rotate(20)|jitter|randaugment(2, 9)|erasing"


def test_a_line_is_applied_to_each_image_by_its_epoch_and_number(split):
    augment = AugmentConfig(augment=LINE, crop="random_resized")  # the line is instead of the flags
    augmenter = compose(LINE, (12, 12), 3)
    order = training_order(order_of(split.labels, "natural", 3), 8, steps=14)
    for (images, targets), place in zip(batches(split, augment, 14, seed=3), order, strict=True):
        index, epoch = place["index"].numpy(), place["epoch"].numpy()
        expected = [augmenter(split.images[i], e, i) for e, i in zip(epoch, index, strict=True)]
        assert np.array_equal(images, np.array(expected)) and images.dtype == np.float32
        assert np.array_equal(targets, np.eye(5)[index % 5])


@pytest.mark.parametrize("line", [LINE, "resized_crop|trivialaugment"])
def test_lines_give_the_same_for_any_number_of_workers_and_any_start(files, line, monkeypatch):
    augment = AugmentConfig(augment=line)
    whole = batches(files, augment, 12, size=(16, 16), classes=3, cache="memory")
    assert equal(whole[9:], batches(files, augment, 3, start_step=9, size=(16, 16), classes=3))
    mapped = pipeline._map
    monkeypatch.setattr(
        pipeline, "_map", lambda data, step, *_: data.map(step, num_parallel_calls=7, deterministic=True)
    )
    assert equal(whole, batches(files, augment, 12, size=(16, 16), classes=3))
    monkeypatch.setattr(pipeline, "_map", lambda data, step, *_: data.map(step))
    assert equal(whole, batches(files, augment, 12, size=(16, 16), classes=3))
    monkeypatch.setattr(pipeline, "_map", mapped)
    assert not equal(whole, batches(files, augment, 12, seed=1, size=(16, 16), classes=3))


def test_the_flags_for_a_random_resized_crop_are_a_line(split):
    for flags, line in (({}, "resized_crop|flip"), ({"flip": False}, "resized_crop")):
        by_flags = batches(split, AugmentConfig(crop="random_resized", **flags), 3)
        assert equal(by_flags, batches(split, AugmentConfig(augment=line), 3))


def test_multi_hot_labels_go_with_their_images(split):
    several = np.eye(5, dtype=np.float32)[split.labels] + np.eye(5, dtype=np.float32)[(split.labels + 2) % 5]
    tagged = Split(split.ids, several, images=split.images)
    for line in ("", "flip(0)"):
        (images, targets), *_ = batches(tagged, AugmentConfig(crop="none", flip=False, augment=line), 2)
        assert np.array_equal(targets, several[images[:, 0, 0, 0].astype(int)])
    mixed = AugmentConfig(crop="none", flip=False, cutmix=1.0)
    for _, targets in batches(tagged, mixed, 3):
        np.testing.assert_allclose(targets.sum(axis=1), 2.0, atol=1e-6)


def test_erasing_by_its_flag_follows_a_line_and_tells_where(split):
    augment = AugmentConfig(augment="flip(0)", erasing=1.0)
    dataset = training_dataset(
        split, feed(Preprocess((12, 12)), 5, augment, 8, 0, needs=frozenset({"visibility"})), steps=1
    )
    ((images, (_, visible)),) = dataset
    kept = visible.numpy()[..., 0] == 1
    index = next(iter(training_order(order_of(split.labels, "natural", 0), 8, steps=1)))["index"].numpy()
    assert np.array_equal(images.numpy()[kept], split.images[index][kept]) and not kept.all()


def test_evaluation_shows_all_once_in_order(split, files):
    dataset = evaluation_dataset(split, Preprocess((12, 12)), one_hot(5), batch_size=16)
    images, targets = (np.concatenate(part) for part in zip(*[(x, y) for x, y in dataset], strict=True))
    assert np.array_equal(images, split.images) and np.array_equal(targets.argmax(1), split.labels)
    sizes = [len(x) for x, _ in evaluation_dataset(files, Preprocess((10, 10)), one_hot(3), batch_size=16)]
    assert sizes == [16, 16, 10] and sum(sizes) == len(files)


def test_load_arrays_prepares_all_images(split):
    assert np.array_equal(load_arrays(split, Preprocess((12, 12))), split.images)
    small = Preprocess((6, 6), "grey")
    assert np.array_equal(load_arrays(split, small), [small.on_array(image) for image in split.images])


def test_a_file_that_breaks_after_the_check_is_named(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"?")
    split = Split(("broken.png",), np.zeros(1, np.int32), paths=(str(broken),))
    with pytest.raises(Exception, match=r"broken\.png"):
        list(evaluation_dataset(split, Preprocess((8, 8)), one_hot(2), 1))
