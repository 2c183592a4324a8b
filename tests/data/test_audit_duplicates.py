"""Copies of images: all exact ones, most resized or re-encoded ones, and few that are none."""

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from imgrec.data.audit.compare import image_facts
from imgrec.data.audit.duplicates import ImageFacts, find_duplicates
from imgrec.data.audit.neighbours import near_pairs, perceptual_hashes
from imgrec.data.audit.scores import SIDE, THUMBNAIL_BYTES, measure
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.sample import load_sample


def of(images, **columns):
    """Images from a list of arrays."""
    rows = [measure(image) for image in images]
    names = tuple(f"{n:03d}" for n in range(len(images)))
    held = {
        "ids": names,
        "splits": ("train",) * len(images),
        "labels": ("a",) * len(images),
        "digests": tuple(str(hash(image.tobytes())) for image in images),
    }
    thumbnails = np.frombuffer(b"".join(row[1] for row in rows), np.uint8).reshape(-1, THUMBNAIL_BYTES)
    scores = np.array([row[0] for row in rows], np.float32)
    return ImageFacts(**{**held, **columns}, thumbnails=thumbnails, scores=scores)


def scene(seed, height=120, width=160):
    """A random image of smooth shapes, edges and noise."""
    draw = np.random.default_rng(seed)
    field = cv2.resize(
        draw.uniform(0, 255, (5, 7, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(6):
        centre = (int(draw.integers(width)), int(draw.integers(height)))
        cv2.circle(field, centre, int(draw.integers(6, 36)), draw.uniform(0, 255, 3).tolist(), -1)
    return np.clip(field + draw.normal(0, 5, field.shape), 0, 255).astype(np.uint8)


def changed(image, kind, draw):
    """A copy, resized or encoded again."""
    if kind % 3 == 0:
        scale = draw.uniform(0.4, 2.0)
        return cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=(cv2.INTER_AREA, cv2.INTER_CUBIC)[scale > 1]
        )
    if kind % 3 == 1:
        image = cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_LINEAR)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(50, 96))])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_hashes_are_imagehash_s():
    images = [scene(n) for n in range(40)]
    thumbnails = of(images).thumbnails
    ours = [f"{value:016x}" for value in perceptual_hashes(thumbnails)]
    grey = thumbnails[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE)
    assert ours == [str(imagehash.phash(Image.fromarray(image))) for image in grey]


def test_a_thumbnail_s_hash_is_near_that_of_the_picture():
    images = [scene(n) for n in range(40)]
    ours = perceptual_hashes(of(images).thumbnails)
    whole = [int(str(imagehash.phash(Image.fromarray(image))), 16) for image in images]
    assert np.mean([(int(a) ^ b).bit_count() for a, b in zip(ours, whole, strict=True)]) < 4


def planted_in_scenes():
    draw = np.random.default_rng(0)
    images = [scene(n) for n in range(300)]
    return images, [changed(images[n], n, draw) for n in range(150)]


def planted_in_sample():
    """A tenth of the sample's test images, enlarged or encoded again."""
    draw = np.random.default_rng(0)
    images = list(load_sample().test.images)
    copies = []
    for n in range(200):
        grey = images[n * 10][..., 0]
        if n % 2:
            scale = draw.uniform(1.3, 3)
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        else:
            data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(50, 96))])[1]
            grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        copies.append(grey[..., np.newaxis])
    return images, copies


@pytest.mark.parametrize("make", [planted_in_scenes, planted_in_sample])
def test_planted_copies_are_found_and_little_else(make):
    images, copies = make()
    held = of([*images, *copies])
    step = 1 if len(images) == 300 else 10
    due = {(step * n, len(images) + n) for n in range(len(copies))}
    before = of(images)
    already = {tuple(pair) for pair in near_pairs(before.thumbnails, before.scores[:, 1]).tolist()}
    found = {tuple(pair) for pair in near_pairs(held.thumbnails, held.scores[:, 1]).tolist()} - already
    assert len(found & due) >= 0.95 * len(due)
    assert len(found & due) >= 0.98 * len(found)
    # What the untouched set holds by itself: shoes and bags that were photographed twice.
    assert len(already) <= 0.01 * len(images)


def test_every_exact_copy_is_found_and_named():
    images = [scene(n) for n in range(100)]
    draw = np.random.default_rng(1)
    chosen = draw.choice(100, 20, replace=False)
    splits = ("train",) * 100 + ("test",) * 10 + ("train",) * 10
    held = of([*images, *(images[n] for n in chosen)], splits=splits)
    findings = {(f.id, f.code): f.detail for f in find_duplicates(held)}
    for place, original in enumerate(chosen):
        code = "duplicate_across_splits" if place < 10 else "duplicate"
        for one, other in ((original, 100 + place), (100 + place, original)):
            assert findings.pop((f"{one:03d}", code)).startswith(f"same bytes as {other:03d}")
    assert not findings


def test_near_copies_across_splits_and_under_two_labels():
    image = scene(5)
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    others = [scene(n) for n in range(10, 20)]
    held = of(
        [image, small, small, *others],
        splits=("train", "test", "val", *["train"] * 10), labels=("cat", "cat", "dog", *["cat"] * 10),
    )  # fmt: skip
    found = [(f.id, f.code, f.detail) for f in find_duplicates(held)]
    assert found == [
        (
            "000",
            "near_duplicate_across_splits",
            "looks like 001, which is in test and not in train (and 1 more)",
        ),
        ("000", "two_labels", "labelled 'cat', and its copy 002 'dog'"),
        ("001", "duplicate_across_splits", "same bytes as 002, which is in val and not in test"),
        ("001", "near_duplicate_across_splits", "looks like 000, which is in train and not in test"),
        ("001", "two_labels", "labelled 'cat', and its copy 002 'dog'"),
        ("002", "duplicate_across_splits", "same bytes as 001, which is in test and not in val"),
        ("002", "near_duplicate_across_splits", "looks like 000, which is in train and not in val"),
        ("002", "two_labels", "labelled 'dog', and its copy 001 'cat' (and 1 more)"),
    ]


def test_colour_tells_pictures_apart():
    image = scene(3)
    red, green, blue = (int(v) for v in (299, 587, 114))
    grey = (image @ np.array([red, green, blue]) // 1000).astype(np.uint8)
    tinted = np.clip(np.stack([grey + 50.0, grey - 25.5, grey], axis=-1), 0, 255).astype(np.uint8)
    assert len(near_pairs(*both(np.dstack([grey] * 3), grey[..., None]))) == 1
    assert len(near_pairs(*both(np.dstack([grey] * 3), tinted))) == 0


def both(*images):
    held = of(list(images))
    return held.thumbnails, held.scores[:, 1]


def test_blank_pictures_are_like_no_other():
    flat = [np.full((40, 40, 3), value, np.uint8) for value in (10, 11, 200)]
    assert len(near_pairs(*both(*flat))) == 0
    assert len(near_pairs(*both(flat[0]))) == 0 and find_duplicates(of([])) == []


def test_groups_of_many_copies_are_found():
    draw = np.random.default_rng(3)
    image = scene(1)
    many = [changed(image, n, draw) for n in range(12)]
    found = find_duplicates(of([*many, *(scene(n) for n in range(50, 80))]))
    # One that lost much in between may have no neighbour that is near by far.
    assert {f.id for f in found} <= {f"{n:03d}" for n in range(12)} and len({f.id for f in found}) >= 11


def test_arrays_and_files_are_measured_alike(tmp_path):
    images = np.stack([scene(n, 40, 40) for n in range(6)])
    split = Split(ids=tuple("abcdef"), labels=np.zeros(6, np.int32), images=images)
    held = image_facts({"train": split}, ("x",), {})
    assert np.array_equal(held.thumbnails, of(list(images)).thumbnails)
    assert held.labels == ("x",) * 6 and len(set(held.digests)) == 6
