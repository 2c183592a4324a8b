"""`.pth` files without PyTorch. The good files were written by PyTorch 2.13, `torch.save` of EXPECTED."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.models.torch_file import read

HERE = Path(__file__).parent
ZIP, LEGACY, CHECKPOINT = (HERE / f"torch_{kind}.pth" for kind in ("zip", "legacy", "checkpoint"))
BASE = np.arange(24, dtype=np.float32)
EXPECTED: dict[str, np.ndarray] = {
    "conv.weight": BASE.reshape(2, 3, 2, 2).transpose(0, 3, 1, 2),  # strides of its own
    "tail": BASE[20:],  # an offset into the same storage
    "half": np.float32([1.5, -2.25, 65504]),
    "bfloat": np.float32([1, -3.140625, 2.0**100]),
    "double": np.float32([[0.1]]),
    "count": np.int64(7),
    "flag": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
    "parameter": np.float32([9]),
}


@pytest.mark.parametrize("path", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_both_formats_give_what_pytorch_saved(path: Path) -> None:
    state = read(path)
    assert list(state) == list(EXPECTED)
    for name, expected in EXPECTED.items():
        np.testing.assert_array_equal(state[name], expected)
        assert state[name].dtype == expected.dtype and state[name].flags.writeable


def test_a_checkpoint_of_parallel_training_is_opened() -> None:
    state = read(CHECKPOINT)
    assert list(state) == ["conv.weight", "tail"]
    np.testing.assert_array_equal(state["conv.weight"], EXPECTED["conv.weight"])


class Evil:
    """What an attacker's object pickles to: a call of `os.system`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def rewritten(target: Path, change: Callable[[str, bytes], bytes], **options: Any) -> Path:
    """The good archive with other members."""
    with zipfile.ZipFile(ZIP) as source, zipfile.ZipFile(target, "w", **options) as copy:
        for name in source.namelist():
            copy.writestr(name, change(name, source.read(name)))
    return target


def with_pickle(target: Path, change: Callable[[bytes], bytes]) -> Path:
    return rewritten(target, lambda name, data: change(data) if name.endswith("data.pkl") else data)


def said(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain", "in a state"])
def test_a_malicious_pickle_is_named_and_not_executed(form: str, tmp_path: Path) -> None:
    trace, path = tmp_path / "executed", tmp_path / "evil.pth"
    evil: Any = {"weight": Evil(trace)} if form == "in a state" else Evil(trace)
    data = pickle.dumps(evil, 2)
    if form in ("zip", "in a state"):
        with_pickle(path, lambda _: data)
    elif form == "legacy":
        whole, good = LEGACY.read_bytes(), io.BytesIO(LEGACY.read_bytes())
        for _ in range(3):
            pickle.load(good)  # magic number, version, system: plain values
        path.write_bytes(whole[: good.tell()] + data)
    else:
        path.write_bytes(data)
    assert "its pickle names posix.system, which could run code" in said(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"ctorch\nFloatStorage\n", b"cbuiltins\neval\n", "names builtins.eval"),
        (b"ctorch\nFloatStorage\n", b"ctorch.nn\nModule\n", "names torch.nn.Module"),
        # The shape (2, 2, 3, 2) with 200 in place of the 3
        (b"(K\x02K\x02K\x03K\x02t", b"(K\x02K\x02K\xc8K\x02t", "does not fit its storage of 24 values"),
        # Two elements of a storage, the second far behind its end
        (b"(K\x0cK\x01K\x04K\x02t", b"(K\xffK\x01K\x04K\x02t", "does not fit its storage of 24 values"),
        # A storage that says it holds 16,777,215 values, then one of 25
        (b"K\x18t", b"K\x19t", "has not the 100 bytes named"),
        (b"K\x18t", b"J\xff\xff\xff\x00t", "claim more memory"),
    ],
)
def test_what_does_not_fit_is_refused(old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    def change(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    assert message in said(with_pickle(tmp_path / "bad.pth", change))


def test_sizes_of_the_older_format_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    path, whole = tmp_path / "bad.pth", LEGACY.read_bytes()
    path.write_bytes(whole[:-8])
    assert "fetch it again" in said(path) or "past the end" in said(path)
    path.write_bytes(whole.replace(b"\x18\0\0\0\0\0\0\0", b"\x18\0\0\0\0\0\0\x7f"))
    assert "is not of the size named" in said(path)


@pytest.mark.parametrize("length", [0, 1, 40, 100, 400, 1000])
@pytest.mark.parametrize("source", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_a_torn_file_is_one_line(source: Path, length: int, tmp_path: Path) -> None:
    path = tmp_path / "torn.pth"
    path.write_bytes(source.read_bytes()[:length])
    assert "\n" not in said(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "holds no state dictionary"),
        ({"weight": 1.5}, "entry 'weight' is no tensor"),
        ({1: 2}, "entry '1' is no tensor"),
        ({(1, 2): 3}, "no dictionary by name"),
        ({"set": {1}}, "names __builtin__.set"),
        ({"blob": b"x"}, "names _codecs.encode"),
    ],
)
def test_other_pickles_are_refused(value: Any, message: str, tmp_path: Path) -> None:
    assert message in said(with_pickle(tmp_path / "other.pth", lambda _: pickle.dumps(value, 2)))


def test_other_archives_are_refused(tmp_path: Path) -> None:
    packed = rewritten(tmp_path / "a.pth", lambda _, data: data, compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in said(packed)
    big = rewritten(tmp_path / "b.pth", lambda name, data: b"big" if name.endswith("byteorder") else data)
    assert "little-endian" in said(big)
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "0 data.pkl" in said(tmp_path / "c.pth")
    assert "No such file" in said(tmp_path / "absent.pth")


def test_many_views_of_one_storage_are_counted(tmp_path: Path) -> None:
    """A small file must not ask for much memory: here 200 names for the same 1,000 values."""
    name, after = b"X\x0b\0\0\0conv.weight", b"X\x04\0\0\0tail"

    def change(member: str, data: bytes) -> bytes:
        if member.endswith("data/0"):
            return np.zeros(1000, np.float32).tobytes()
        if not member.endswith("data.pkl"):
            return data
        body = data[data.index(name) + len(name) : data.index(after)].replace(b"K\x18t", b"M\xe8\x03t")
        body = body.replace(b"(K\x02K\x02K\x03K\x02t", b"(M\xe8\x03t")
        body = body.replace(b"(K\x0cK\x01K\x04K\x02t", b"(K\x01t")
        names = b"".join(b"X\x04\0\0\0%04d" % number + body for number in range(200))
        return data[: data.index(name)] + names + b"u."

    assert "claim more memory" in said(rewritten(tmp_path / "many.pth", change))


def test_any_damage_is_told_in_one_line(tmp_path: Path) -> None:
    """Two hundred random changes: each is read or refused, and nothing else is ever raised."""
    draw, path, refused = np.random.default_rng(0), tmp_path / "damaged.pth", 0
    for source in (ZIP, LEGACY):
        whole = np.frombuffer(source.read_bytes(), np.uint8)
        for _ in range(100):
            damaged = whole.copy()
            at = draw.integers(0, len(whole), 3)
            damaged[at] = draw.integers(0, 256, 3)
            path.write_bytes(damaged.tobytes())
            try:
                read(path)
            except InputError:
                refused += 1
    assert refused > 60


def test_a_slot_far_away_takes_no_memory(tmp_path: Path) -> None:
    # LONG_BINPUT 2³² − 1: Python's own unpickler would make room for all slots below.
    data = b"\x80\x02}r\xff\xff\xff\xff."
    assert "holds no state dictionary" in said(with_pickle(tmp_path / "far.pth", lambda _: data))
