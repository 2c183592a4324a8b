"""Views of images in use: those of the training, by hand."""

import numpy as np

from imgrec.data.augment.test_time import views

PLAIN = {"augment": "", "crop": "none", "crop_share": 0.125, "flip": True}
IMAGES = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)


def test_mirrored_where_the_training_mirrored_and_nothing_else() -> None:
    found = views(PLAIN, (8, 8), 8)
    assert len(found) == 2 and found.said == ("as they are", "mirrored")
    np.testing.assert_array_equal(found.ways[0](IMAGES), IMAGES)
    np.testing.assert_array_equal(found.ways[1](IMAGES), IMAGES[:, :, ::-1])
    assert len(views({**PLAIN, "flip": False}, (8, 8), 8)) == 1
    assert len(views({**PLAIN, "augment": "flip|randaugment(2, 9)"}, (8, 8), 8)) == 2
    assert len(views({**PLAIN, "augment": "rotate(10)"}, (8, 8), 8)) == 1


def test_shifts_are_half_of_the_padding() -> None:
    settings = {**PLAIN, "crop": "pad", "crop_share": 0.5, "flip": False}
    found = views(settings, (8, 8), 20)
    assert len(found) == 9 and "shifted" in found.said
    up = found.ways[1](IMAGES)  # by 2 up and to the left; what comes in is black
    np.testing.assert_array_equal(up[:, :6, :6], IMAGES[:, 2:, 2:])
    assert not up[:, 6:].any() and not up[:, :, 6:].any()
    colour = np.repeat(IMAGES, 3, axis=-1)
    np.testing.assert_array_equal(found.ways[1](colour)[:, 6], found.ways[1](colour)[:, 4])  # a mirror
    assert len(views({**PLAIN, "augment": "crop(pad=4)|flip"}, (8, 8), 64)) == 18


def test_parts_are_cut_out_where_the_training_did() -> None:
    found = views({**PLAIN, "crop": "random_resized", "flip": False}, (8, 8), 8)
    assert len(found) == 6
    even = np.full((1, 8, 8, 3), 9, np.uint8)
    for way in found.ways:
        np.testing.assert_array_equal(way(even), even)
        assert way(IMAGES).shape == IMAGES.shape
    assert found.ways[2](IMAGES).mean() < IMAGES.mean() < found.ways[3](IMAGES).mean()


def test_scores_are_means_over_views() -> None:
    found = views(PLAIN, (8, 8), 8)
    answer = lambda images: images[:, 0, :2, 0].astype(np.float32)  # noqa: E731
    expected = (IMAGES[:, 0, :2, 0] + IMAGES[:, 0, ::-1, 0][:, :2].astype(float)) / 2
    np.testing.assert_allclose(found.scores(IMAGES, answer), expected)
