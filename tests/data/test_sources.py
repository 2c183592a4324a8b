import gzip
import socket
import struct

import numpy as np
import pytest

from imgrec.config import DataConfig
from imgrec.data.sources.load import load_source
from imgrec.data.sources.splits import divide
from imgrec.errors import InputError


def load(spec, seed=0, **settings):
    return load_source(DataConfig(data=str(spec), **settings), seed)


def arrays(count, classes=3, channels=None, seed=0):
    shape = (count, 8, 8) if channels is None else (count, 8, 8, channels)
    images = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return images, np.arange(count) % classes


@pytest.fixture
def npz(tmp_path):
    def write(**content):
        np.savez(tmp_path / "set.npz", **content)
        return f"npz:{tmp_path / 'set.npz'}"

    return write


def test_an_undivided_set_is_split_7_2_1_by_class(npz):
    x, y = arrays(300)
    source = load(npz(x=x, y=y))
    assert [s.counts(3).tolist() for s in source.splits.values()] == [[70] * 3, [20] * 3, [10] * 3]
    assert sorted(name for s in source.splits.values() for name in s.ids) == [
        f"train-{i:05d}" for i in range(300)
    ]
    assert source.colour == "grey" and source.classes == ("0", "1", "2")


def test_the_split_follows_the_seed_alone(npz):
    x, y = arrays(300)
    spec = npz(x=x, y=y)
    one, again, other = load(spec, 1), load(spec, 1), load(spec, 2)
    assert one.val.ids == again.val.ids and one.fingerprint == again.fingerprint
    assert one.val.ids != other.val.ids
    # Fixed once and for all: a change would mix old test images into new training sets.
    assert one.test.ids[:3] == ("train-00002", "train-00007", "train-00010")


def test_images_stay_with_their_ids(npz):
    x, y = arrays(60)
    source = load(npz(x=x, y=y))
    for split in source.splits.values():
        index = [int(name.split("-")[1]) for name in split.ids]
        assert np.array_equal(split.images[..., 0], x[index])
        assert np.array_equal(split.labels, y[index])


def test_train_and_test_given_leave_a_tenth_for_validation(npz):
    (x, y), (u, v) = arrays(200, 2, 3), arrays(20, 2, 3)
    source = load(npz(x_train=x, y_train=y[:, None], x_test=u, y_test=v))
    assert [len(s) for s in source.splits.values()] == [180, 20, 20]
    assert source.colour == "rgb" and np.array_equal(source.test.images, u)
    assert any("tenth of train" in note for note in source.notes)


def test_train_and_validation_given_halve_the_validation(npz):
    (x, y), (u, v) = arrays(40, 2), arrays(20, 2)
    source = load(npz(x_train=x, y_train=y, x_val=u, y_val=v))
    assert [len(s) for s in source.splits.values()] == [40, 10, 10]
    assert any("half of val" in note for note in source.notes)


def test_labels_may_be_names_or_named(npz):
    x, y = arrays(60)
    named = load(npz(images=x, labels=np.array(["cat", "ant", "bee"])[y]))
    assert named.classes == ("ant", "bee", "cat")
    assert load(npz(images=x, labels=y, classes=np.array(["r", "g", "b"]))).classes == ("r", "g", "b")


def brightness_of_classes(source):
    """Class name → the mean brightness of its images, over all splits."""
    held = source.train.joined(source.val, source.test)
    return {
        name: float(held.images[held.labels == number].mean()) for number, name in enumerate(source.classes)
    }


@pytest.mark.parametrize("kind", ["U", "S"])
def test_named_labels_are_found_in_classes_by_name(npz, kind):
    """`classes` in another order than the alphabet's; cats are dark, dogs are bright."""
    x = np.where(np.arange(60) % 2, 200, 20).astype(np.uint8)[:, None, None] + np.zeros((1, 8, 8), np.uint8)
    x[:, 0, 0] += np.arange(60, dtype=np.uint8) // 2  # no two are copies
    y = np.array(["cat", "dog"])[np.arange(60) % 2].astype(kind)
    source = load(npz(x=x, y=y, classes=np.array(["dog", "cat"]).astype(kind)))
    assert source.classes == ("dog", "cat")
    seen = brightness_of_classes(source)
    assert seen["cat"] < 40 and seen["dog"] > 180
    assert brightness_of_classes(load(npz(x=x, y=y))) == pytest.approx(seen, abs=1)
    # Of splits that name different ones first.
    parts = {"x_train": x, "y_train": y, "x_test": x[::-1], "y_test": y[::-1]}
    seen = brightness_of_classes(load(npz(**parts, classes=np.array(["dog", "cat"]).astype(kind))))
    assert seen["cat"] < 40 and seen["dog"] > 180


STRINGS = np.array(["cat", "dog"])[np.arange(60) % 2]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (STRINGS, ["dog", "cow"], r"of the labels 1 not in classes, such as 'cat'; classes has dog, cow"),
        (STRINGS, ["a", "b"], r"of the labels 2 not in classes, such as 'cat'"),
        (STRINGS, ["cat", "dog", "cat"], "the class name 'cat' stands there twice"),
        (STRINGS, ["cat", "dog", "emu"], "no image of class 'emu'; add some, or take it out of the classes"),
        (STRINGS, [["cat", "dog"]], r"classes is <U3 \[1, 2\], expected strings"),
        (np.arange(60) % 2, ["cat", "cat"], "the class name 'cat' stands there twice"),
        (np.arange(60) % 2, ["cat", "dog", "emu"], "no image of class 'emu'"),
        (np.arange(60) % 2 + 1, ["cat", "dog"], "labels 1 to 2, but 2 class names; expected labels from 0"),
        (np.arange(60) % 2, [1, 0], "classes is int64.*expected strings"),
        (np.array(["cat", "cat "])[np.arange(60) % 2], None, "'cat' and 'cat ' are one name"),
    ],
)
def test_names_that_do_not_fit_the_labels_are_refused(npz, labels, classes, message):
    named = {} if classes is None else {"classes": np.array(classes)}
    with pytest.raises(InputError, match=message) as raised:
        load(npz(x=arrays(60)[0], y=labels, **named))
    assert "\n" not in str(raised.value)


def test_labels_are_of_one_kind_in_all_splits(npz):
    (x, y), (u, v) = arrays(60, 2), arrays(20, 2, seed=1)
    source = load(npz(x_train=x, y_train=y.astype(np.int64), x_test=u, y_test=v.astype(np.uint64)))
    assert source.train.kind == "class" and source.test.counts(2).tolist() == [10, 10]
    with pytest.raises(InputError, match=r"several kinds \(train integers, test numbers with a fraction\)"):
        load(npz(x_train=x, y_train=y, x_test=u, y_test=v.astype(float)))
    with pytest.raises(InputError, match=r"train integers, test strings"):
        load(npz(x_train=x, y_train=y, x_test=u, y_test=v.astype(str)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": np.zeros((9, 8, 8), np.float32), "y": np.arange(9) % 2}, "float32, expected uint8"),
        ({"x": np.zeros((9, 3, 8, 8), np.uint8), "y": np.arange(9) % 2}, r"shape \[9, 3, 8, 8\]"),
        ({"x": np.zeros((9, 8, 8), np.uint8), "y": np.arange(8) % 2}, "9 images but 8 labels"),
        ({"x": np.zeros((9, 8, 8), np.uint8), "y": np.zeros(9, bool)}, "labels are bool"),
        ({"x": np.zeros((9, 8, 8), np.uint8), "y": np.full(9, np.nan)}, "expected finite ones"),
        ({"x": np.zeros((9, 8, 8), np.uint8), "y": np.zeros(9, int)}, "only '0'"),
        ({"x": np.zeros((9, 8, 8), np.uint8), "y": np.arange(9) % 7}, "'0' has 1 image, copies counted once"),
        ({"data": np.zeros((9, 8, 8), np.uint8)}, "holds data; expected x_train"),
        ({"x": np.array([{}]), "y": np.array([0])}, "without pickled objects"),
        (
            {"x": np.zeros((9, 8, 8), np.uint8), "y": np.arange(9) % 3, "classes": np.array(["a", "b"])},
            "labels 0 to 2, but 2 class names",
        ),
        (
            {
                "x_train": np.zeros((9, 8, 8), np.uint8), "y_train": np.arange(9) % 3,
                "x_test": np.zeros((4, 8, 8), np.uint8), "y_test": np.arange(4) % 2,
            },
            "test split has no image of class '2'",
        ),
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_named(npz, content, message):
    with pytest.raises(InputError, match=message):
        load(npz(**content))


def test_a_missing_or_broken_archive_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(f"npz:{tmp_path}/none.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(InputError, match=r"broken\.npz: cannot be read"):
        load(f"npz:{tmp_path}/broken.npz")


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    data = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_reads_idx_folders(tmp_path, ending):
    (x, y), (u, v) = arrays(200, 2), arrays(20, 2, seed=1)
    for name, array in (("train-images-idx3", x), ("train-labels-idx1", y),
                        ("t10k-images-idx3", u), ("t10k-labels-idx1", v)):  # fmt: skip
        write_idx(tmp_path / f"{name}-ubyte{ending}", array)
    source = load(f"idx:{tmp_path}")
    assert np.array_equal(source.test.images[..., 0], u) and np.array_equal(source.test.labels, v)
    assert [len(s) for s in source.splits.values()] == [180, 20, 20]


def test_names_of_idx_sets_count_from_the_first_line(tmp_path):
    x, y = arrays(200, 2)
    write_idx(tmp_path / "train-images-idx3-ubyte", x)
    write_idx(tmp_path / "train-labels-idx1-ubyte", y)
    names = tmp_path / "labels.txt"
    names.write_bytes("\ufeffdog\r\nca\u0301t\r\n\r\n".encode())
    assert load(f"idx:{tmp_path}").classes == ("dog", "c\u00e1t")
    names.write_text("dog\ncat\u2028cow\n")
    with pytest.raises(InputError, match=r"'cat\\u2028cow' holds control characters"):
        load(f"idx:{tmp_path}")
    names.write_text("dog\n\ncat\n")
    with pytest.raises(InputError, match="the class name '' is empty"):
        load(f"idx:{tmp_path}")
    names.write_text("dog\n")
    with pytest.raises(InputError, match="labels 0 to 1, but 1 class names"):
        load(f"idx:{tmp_path}")
    names.write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match=r"labels\.txt: .*expected UTF-8 text"):
        load(f"idx:{tmp_path}")


def test_idx_mistakes_are_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load(f"idx:{tmp_path}/none")
    with pytest.raises(InputError, match="no train-images-idx3-ubyte"):
        load(f"idx:{tmp_path}")
    x, y = arrays(20, 2)
    write_idx(tmp_path / "train-images-idx3-ubyte", x)
    write_idx(tmp_path / "train-labels-idx1-ubyte", y[:-1])
    with pytest.raises(InputError, match="20 images but 19 labels"):
        load(f"idx:{tmp_path}")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(
        (tmp_path / "train-images-idx3-ubyte").read_bytes()[:-5]
    )
    with pytest.raises(InputError, match="header promises 1280 bytes"):
        load(f"idx:{tmp_path}")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x89PNG....")
    with pytest.raises(InputError, match="not an IDX file"):
        load(f"idx:{tmp_path}")
    (tmp_path / "train-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"abc")[:-4])
    with pytest.raises(InputError, match="cannot be read"):
        load(f"idx:{tmp_path}")


def test_unknown_schemes_list_the_known_ones():
    with pytest.raises(InputError, match=r"'idxx'.*did you mean idx\?.*idx, keras, npz"):
        load("idxx:folder")


def test_keras_sets_are_read_or_one_line_says_why_not(monkeypatch):
    import keras

    with pytest.raises(InputError, match="did you mean cifar10"):
        load("keras:cifar11")
    (x, y), (u, v) = arrays(40, 2, 3), arrays(10, 2, 3)

    def offline():
        assert socket.getdefaulttimeout() is not None
        raise Exception("URL fetch failure on https://host/cifar.tar.gz: None -- unreachable\nand more")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)
    with pytest.raises(InputError, match=r"unreachable.*needs a network") as raised:
        load("keras:cifar10")
    assert "\n" not in str(raised.value) and socket.getdefaulttimeout() is None
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: ((x, y[:, None]), (u, v[:, None])))
    with pytest.raises(InputError, match="no image of class 'bird'"):
        load("keras:cifar10")


def test_the_colour_asked_for_wins(npz):
    x, y = arrays(60)
    assert load(npz(x=x, y=y), colour="rgb").colour == "rgb"


def test_the_fingerprint_sees_one_pixel_and_one_label(npz):
    x, y = arrays(60)
    first = load(npz(x=x, y=y)).fingerprint
    x[3, 4, 5] ^= 1
    second = load(npz(x=x, y=y)).fingerprint
    y[3], y[4] = y[4], y[3]
    assert len({first, second, load(npz(x=x, y=y)).fingerprint}) == 3


def test_dividing_keeps_order_and_loses_nothing(npz):
    x, y = arrays(47)
    whole = load(npz(x=x, y=y))
    parts = divide(whole.train, whole.classes, (0.25, 0.25), seed=5)
    assert sum(len(p) for p in parts) == len(whole.train)
    for part in parts:
        assert list(part.ids) == sorted(part.ids) and (part.counts(3) > 0).all()
