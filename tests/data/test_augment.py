import numpy as np
import pytest
import tensorflow as tf
from pictures import picture

from imgrec.config import AugmentConfig
from imgrec.data.augment.batch import flip_left_right, pad_and_crop, random_erasing
from imgrec.data.augment.compose import FIRST_STREAM, LONGEST
from imgrec.data.augment.engine import crop_for, engines
from imgrec.data.order import randomness
from imgrec.data.order.draws import Draws
from imgrec.data.order.randomness import ERASE, FLIP, permuted, uniform
from imgrec.data.preprocess import Preprocess

MASK = 2**64 - 1


def reference_uniform(seed, epoch, index, stream, draw=None):
    """The same hash in Python's whole numbers."""

    def finalise(z):
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31

    golden, state = 0x9E3779B97F4A7C15, (seed * 64 + stream) & MASK
    for value in (epoch, index):
        state = finalise(state + golden & MASK) ^ value
    if draw is not None:
        state = state + golden * (draw + 1) & MASK
    return (finalise(state) >> 40) / 2**24


def batch_of(images, epoch=0, first=0):
    count = len(images)
    return {
        "image": tf.constant(images),
        "label": tf.zeros(count, tf.int32),
        "epoch": tf.fill([count], np.int64(epoch)),
        "index": tf.range(first, first + count, dtype=tf.int64),
    }


def pictures(count, size=16):
    return np.stack([picture(size, size, phase=float(n)) for n in range(count)])


def both_ways(operation, batch):
    """Apply eagerly and inside tf.data, and return the result, which has to be the same."""
    eager = operation(batch)["image"].numpy()
    (mapped,) = tf.data.Dataset.from_tensors(batch).map(operation)
    assert np.array_equal(eager, mapped["image"])
    return eager


def test_draws_are_the_hash_of_seed_epoch_index_and_stream():
    for seed, epoch, index, stream in ((0, 0, 0, 0), (1, 2, 3, 4), (2**40, 7, 10**9, 1), (-5, 0, 1, 5)):
        drawn = uniform(seed, tf.constant(epoch, tf.int64), tf.constant(index, tf.int64), stream)
        assert float(drawn) == reference_uniform(seed, epoch, index, stream)
        many = uniform(seed, tf.constant([epoch], tf.int64), tf.constant([index], tf.int64), stream, 3)
        assert many.numpy().tolist() == [[reference_uniform(seed, epoch, index, stream, d) for d in range(3)]]


def test_draws_without_tensorflow_are_the_same():
    for seed, epoch, index, stream in ((0, 0, 0, 0), (1, 2, 3, 4), (2**40, 7, 10**9, 1), (-5, 0, 1, 47)):
        draws = Draws(seed, epoch, index, stream)
        place = (tf.constant(epoch, tf.int64), tf.constant(index, tf.int64))
        assert [draws.uniform() for _ in range(9)] == uniform(seed, *place, stream, 9).numpy().tolist()
    draws = Draws(3, 0, 0, 9)
    numbers = [draws.below(6) for _ in range(6000)]
    assert ((np.bincount(numbers, minlength=6) - 1000) ** 2 / 1000).sum() < 25  # χ², 5 degrees: once in 7,000
    first, second = Draws(3, 0, 0, 9).generator(), Draws(3, 0, 1, 9).generator()
    assert abs(np.corrcoef(first.random(9999), second.random(9999))[0, 1]) < 0.04


def test_draws_are_uniform_and_unrelated():
    index = tf.range(20_000, dtype=tf.int64)
    draws = [
        uniform(s, tf.zeros_like(index) + e, index, k).numpy()
        for s, e, k in ((0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0))
    ]
    for drawn in draws:
        counts = np.histogram(drawn, 16, (0, 1))[0]
        # χ² with 15 degrees of freedom exceeds 45 once in ten thousand.
        assert ((counts - 1250) ** 2 / 1250).sum() < 45
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.03


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_orders_are_permutations_that_differ_by_epoch_and_seed(size):
    position = tf.range(size, dtype=tf.int64)
    orders = [
        permuted(s, position, tf.zeros_like(position) + e, size).numpy() for s, e in ((0, 0), (0, 1), (1, 0))
    ]
    for order in orders:
        assert sorted(order) == list(range(size))
    if size == 1000:
        assert len({tuple(order) for order in orders}) == 3
    one = permuted(0, tf.constant(size - 1, tf.int64), tf.constant(0, tf.int64), size)
    assert int(one) == orders[0][-1]


@pytest.mark.parametrize("size", [56, 1445, 10_000, 2**15, 54_000])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (0, 1), (1, 0)])
def test_an_order_keeps_nothing_of_that_of_the_folder(size, seed, epoch):
    position = tf.range(size, dtype=tf.int64)
    order = permuted(seed, position, tf.zeros_like(position) + epoch, size).numpy()
    # Of a random permutation: r ~ N(0, 1/n), and as many in their old places as Poisson's law of mean 1 has.
    assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 4 / np.sqrt(size)
    assert (order == np.arange(size)).sum() <= 8
    classes = (np.arange(size) * 10 // size)[order]
    batch = min(64, size // 4)
    counts = [
        np.bincount(part, minlength=10) for part in np.split(classes[: size // batch * batch], size // batch)
    ]
    expected = batch * 0.09 * (size - batch) / (size - 1)  # of the hypergeometric law
    assert np.var(counts) < expected * (1 + 6 / np.sqrt(np.size(counts)))


def test_about_half_are_mirrored_and_nothing_else():
    images = pictures(400, 8)
    flipped = both_ways(flip_left_right(seed=3), batch_of(images))
    mirrored = np.array([np.array_equal(a[:, ::-1], b) for a, b in zip(images, flipped, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(images, flipped, strict=True)])
    assert (mirrored ^ kept).all() and 160 < mirrored.sum() < 240
    expected = [reference_uniform(3, 0, n, FLIP) < 0.5 for n in range(400)]
    assert mirrored.tolist() == expected


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_pad_and_crop_cuts_windows_of_the_padded_picture(mode):
    images = pictures(64)
    cropped = both_ways(pad_and_crop(seed=1, mode=mode), batch_of(images))
    assert cropped.shape == images.shape and cropped.dtype == np.uint8
    seen = set()
    for image, result in zip(images, cropped, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), "constant" if mode == "zeros" else "reflect")
        places = [
            (y, x)
            for y in range(5)
            for x in range(5)
            if np.array_equal(padded[y : y + 16, x : x + 16], result)
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) >= 20


def test_epochs_and_images_draw_their_own_windows():
    same = np.repeat(pictures(1), 32, axis=0)
    operation = pad_and_crop(seed=0)
    first, second = (operation(batch_of(same, epoch))["image"].numpy() for epoch in (0, 1))
    assert len({image.tobytes() for image in first}) > 10
    assert np.mean([np.array_equal(a, b) for a, b in zip(first, second, strict=True)]) < 0.3
    # An image's change does not depend on its company in the batch.
    assert np.array_equal(operation(batch_of(same[:5], 0, first=7))["image"], first[7:12])


def reference_hidden(seed, index, height, width, probability, scale, ratio):
    """The hidden rectangle of an image as rows and columns, in Python's own numbers."""
    draws = [reference_uniform(seed, 0, index, ERASE, d) for d in range(7)]
    hidden = np.zeros((height, width), bool)
    if draws[0] < probability:
        area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[1])
        aspect = ratio[0] * (ratio[1] / ratio[0]) ** draws[2]
        h, w = (
            min(max(round((area * aspect) ** 0.5), 1), height),
            min(max(round((area / aspect) ** 0.5), 1), width),
        )
        top, left = int(draws[3] * (height - h + 1)), int(draws[4] * (width - w + 1))
        hidden[top : top + h, left : left + w] = True
    return hidden


def test_erasing_hides_rectangles_under_noise_and_tells_where():
    images = np.repeat(pictures(1, 16), 300, axis=0)
    operation, batch = random_erasing(seed=5, probability=0.6), batch_of(images)
    erased, visible = both_ways(operation, batch), operation(batch)["visible"].numpy()
    assert visible.shape == (300, 16, 16, 1) and visible.dtype == np.float32
    expected = np.stack([reference_hidden(5, n, 16, 16, 0.6, (0.02, 0.4), (0.3, 3.3)) for n in range(300)])
    assert np.array_equal(visible[..., 0] == 0, expected)
    assert 150 < expected.any(axis=(1, 2)).sum() < 210
    assert np.array_equal(erased[~expected], images[~expected])
    noise = erased[expected].astype(float)
    # Uniform over 0…255, and not the same for every image.
    assert abs(noise.mean() - 127.5) < 3 and abs(noise.std() - 73.9) < 3
    assert len({image.tobytes() for image in erased[expected.any(axis=(1, 2))]}) > 100


def test_erasing_covers_the_share_it_is_given():
    images = np.repeat(pictures(1, 32), 500, axis=0)
    visible = random_erasing(seed=0, probability=1.0, scale=(0.1, 0.3))(batch_of(images))["visible"].numpy()
    hidden = 1 - visible.mean(axis=(1, 2, 3))
    # A long rectangle may lose what would stand out of the image; rounding adds a little.
    assert hidden.min() > 0.08 and hidden.max() < 0.33 and abs(hidden.mean() - 0.2) < 0.015


def test_auto_crop_goes_by_size():
    assert crop_for("auto", (28, 28)) == "pad" and crop_for("auto", (224, 224)) == "random_resized"
    assert crop_for("none", (28, 28)) == "none"


@pytest.mark.parametrize(
    ("settings", "side", "line", "batches"),
    [
        ({}, 28, [], ["crop", "flip"]),
        ({"erasing": 0.5}, 28, [], ["crop", "flip", "erase"]),
        ({"crop": "random_resized", "erasing": 0.5}, 28, ["resized_crop", "flip"], ["erase"]),
        ({"augment": "rotate(9)", "erasing": 0.5}, 28, ["rotate"], ["erase"]),
        ({"crop": "none"}, 224, [], ["flip"]),  # as a head on cached features is shown its images
        ({"erasing": 0.5}, 224, ["resized_crop", "flip", "erasing"], []),
        ({"crop": "pad", "flip": False, "erasing": 0.5}, 224, ["crop", "erasing"], []),
        ({"augment": "rotate(9)", "erasing": 0.5}, 224, ["rotate", "erasing"], []),
        ({"crop": "none", "flip": False}, 224, [], []),
    ],
)
def test_one_function_says_which_engine_runs(settings, side, line, batches):
    augmenter, operations = engines(AugmentConfig(**settings), Preprocess((side, side)), seed=0)
    assert [step.name for step in (augmenter.steps if augmenter else ())] == line
    assert [operation.__name__ for operation in operations] == batches


def test_what_is_hidden_is_told_by_batches_at_any_size():
    augmenter, operations = engines(AugmentConfig(erasing=0.5, erasing_area=0.3), Preprocess((224, 224)), 0)
    assert augmenter.steps[-1].options == {"p": 0.5, "area": (0.02, 0.3)} and not operations
    (erase,) = engines(AugmentConfig(erasing=0.5), Preprocess((224, 224)), 0, visibility=True)[1]
    assert erase.__name__ == "erase"
    padded = engines(AugmentConfig(crop="pad"), Preprocess((100, 200)), 0)[0]
    assert padded.steps[0].options["pad"] == 12


def test_streams_are_distinct():
    names = ("FLIP", "CROP_TOP", "CROP_LEFT", "CROP_AREA", "CROP_RATIO", "MIX", "ERASE")
    streams = {getattr(randomness, name) for name in names}
    assert len(streams) == len(names) and max(streams) < FIRST_STREAM and FIRST_STREAM + LONGEST <= 64
