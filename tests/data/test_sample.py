import hashlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks import build_sample
from imgrec.config import DataConfig
from imgrec.data.sources import sample
from imgrec.data.sources.arrays import read_idx
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError

ORIGINAL = Path("/usr/share/datasets/fashion-mnist")
needs_original = pytest.mark.skipif(
    not ORIGINAL.is_dir(), reason="needs Debian's package dataset-fashion-mnist to compare with"
)


@pytest.fixture(scope="module")
def source():
    return load_source(DataConfig(data="sample"), seed=0)


def test_has_the_promised_counts_equal_per_class(source):
    assert [len(split) for split in source.splits.values()] == [10_000, 2_000, 2_000]
    for split in source.splits.values():
        assert (split.counts(10) == len(split) // 10).all()
        assert split.images.shape == (len(split), 28, 28, 1) and split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
    assert source.classes[0] == "T-shirt/top" and source.classes[9] == "Ankle boot"
    assert source.colour == "grey" and source.side == 28


def test_no_image_is_in_two_splits(source):
    ids = [name for split in source.splits.values() for name in split.ids]
    assert len(set(ids)) == 14_000


def test_is_small_and_carries_its_licence():
    files = list(sample.ASSET.parent.iterdir())
    assert sum(path.stat().st_size for path in files) <= 7_000_000
    notice = (sample.ASSET.parent / "LICENSE-fashion-mnist.txt").read_text(encoding="utf-8")
    assert "Zalando" in notice and "Permission is hereby granted" in notice


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    changed = tmp_path / "sample.xz"
    changed.write_bytes(sample.ASSET.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(sample, "ASSET", changed)
    with pytest.raises(InputError, match="not the file that was shipped"):
        sample.load_sample()


@needs_original
def test_pixels_are_the_originals(source):
    original = {"train": read_idx(ORIGINAL, "train"), "test": read_idx(ORIGINAL, "t10k")}
    for split in source.splits.values():
        origin = split.ids[0].split("-")[0]
        index = np.array([int(name.split("-")[1]) for name in split.ids])
        images, labels = original[origin]
        assert np.array_equal(split.images[..., 0], images[index])
        assert np.array_equal(split.labels, labels[index])


@needs_original
def test_is_rebuilt_byte_for_byte():
    assert hashlib.sha256(build_sample.build(ORIGINAL)).hexdigest() == sample.SHA256
