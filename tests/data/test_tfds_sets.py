"""`tfds:NAME`: sets written here in TFDS's own format, read without a network; and what is refused."""

import io
import json
import shutil
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import encode, picture

from imgrec.config import DataConfig
from imgrec.data.decode import decode
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow_datasets as tfds

KINDS = ("round", "square")


class _Made(tfds.core.GeneratorBasedBuilder):
    """Generated images; what they are is up to the subclasses."""

    VERSION = tfds.core.Version("1.0.0")
    SKIP_REGISTERING = True

    def _info(self) -> Any:
        features = tfds.features.FeaturesDict({"image": self.image(), "label": self.label()})
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

    def _split_generators(self, manager: Any) -> Any:
        return {name: self._generate_examples(count) for name, count in self.counts().items()}

    def _generate_examples(self, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in range(count):
            yield number, {"image": self.pixels(number, count), "label": self.labels_of(number)}

    def counts(self) -> dict[str, int]:
        return {"train": 30, "test": 10}

    def label(self) -> Any:
        return tfds.features.ClassLabel(names=KINDS)

    def labels_of(self, number: int) -> Any:
        return number % 2


class MadePhotos(_Made):
    """JPEG files of several sizes."""

    def image(self) -> Any:
        return tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")

    def pixels(self, number: int, count: int) -> Any:
        return io.BytesIO(encode(picture(20 + number, 30, number + count), "JPEG", quality=80))


class MadeDigits(_Made):
    """Grey images of one size."""

    def image(self) -> Any:
        return tfds.features.Image(shape=(12, 10, 1))

    def pixels(self, number: int, count: int) -> Any:
        return picture(12, 10, number + count)[..., :1]


class MadeTags(MadePhotos):
    """Several labels an image."""

    def label(self) -> Any:
        return tfds.features.Sequence(tfds.features.ClassLabel(names=KINDS))

    def labels_of(self, number: int) -> Any:
        return [[], [0], [1], [0, 1]][number % 4]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for builder in (MadePhotos, MadeDigits, MadeTags):
            builder(data_dir=str(folder)).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def load(spec: str, **settings: Any) -> Source:
    return load_source(DataConfig(data=spec, **settings), 0)


def test_pictures_of_one_size_become_arrays(root: Path) -> None:
    source = load(f"tfds:made_digits:{root}")
    assert source.classes == KINDS and source.colour == "grey"
    assert [len(split) for split in source.splits.values()] == [26, 4, 10]
    stored = {picture(12, 10, n + 10)[..., 0].tobytes(): n % 2 for n in range(10)}
    assert source.test.images is not None
    found = {
        image[..., 0].tobytes(): label
        for image, label in zip(source.test.images, source.test.labels, strict=True)
    }
    assert found == stored


def test_photographs_are_the_bytes_that_were_stored(root: Path) -> None:
    source = load(f"tfds:made_photos:{root}")
    assert [len(split) for split in source.splits.values()] == [26, 4, 10] and source.colour == "rgb"
    stored = {encode(picture(20 + n, 30, n + 10), "JPEG", quality=80): n % 2 for n in range(10)}
    held = {
        Path(path).read_bytes(): label
        for path, label in zip(source.test.paths or (), source.test.labels, strict=True)
    }
    assert held == stored and source.test.ids[0] == "test/0000000.jpg"
    assert load(f"tfds:made_photos:{root}").fingerprint == source.fingerprint, "from the cache folder"


def test_lists_of_labels_are_several(root: Path) -> None:
    source = load(f"tfds:made_tags:{root}")
    assert source.train.kind == "classes" and source.classes == KINDS
    for path, row in zip(source.test.paths or (), source.test.labels, strict=True):
        number = decode(Path(path).read_bytes(), 10_000).shape[0] - 20
        assert row.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]][number % 4]


def test_what_is_not_there_is_said_at_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"tfds:mnist:.*nothing prepared in .*mnist; .* --download"):
        load(f"tfds:mnist:{root}")
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    assert load("tfds:made_digits").fingerprint == load(f"tfds:made_digits:{root}").fingerprint
    with pytest.raises(InputError, match="expected tfds:NAME"):
        load("tfds:../other")
    for config in ("one", "two"):
        shutil.copytree(root / "made_digits" / "1.0.0", tmp_path / "made_digits" / config / "1.0.0")
    with pytest.raises(InputError, match="name one of made_digits/one, made_digits/two"):
        load(f"tfds:made_digits:{tmp_path}")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'imgrec\[tfds\]'"):
        load(f"tfds:made_digits:{root}")


def test_damaged_sets_are_named(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made_digits" / "1.0.0"
    shutil.copytree(root / "made_digits" / "1.0.0", folder)
    (shard,) = folder.glob("*test.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(InputError, match="the split test cannot be read"):
        load(f"tfds:made_digits:{tmp_path}")
    (folder / "features.json").write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        load(f"tfds:made_digits:{tmp_path}")


def test_download_lets_tfds_prepare_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: MadeDigits(data_dir=data_dir))
    source = load(f"tfds:made_digits:{tmp_path}", download=True)
    assert len(source.test) == 10 and (tmp_path / "made_digits" / "1.0.0" / "features.json").is_file()

    def unknown(name: str, data_dir: str) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(tfds, "builder", unknown)
    with pytest.raises(InputError, match=r"could not be fetched \(no route\)") as raised:
        load(f"tfds:mnist:{tmp_path}", download=True)
    assert "\n" not in str(raised.value)
    assert np.array_equal(load(f"tfds:made_digits:{tmp_path}").test.labels, source.test.labels)
