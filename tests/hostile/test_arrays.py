"""`.npz` files of a run folder that somebody else wrote."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.guards.arrays import read_arrays

PATH = "arrays.npz"


def member(head: str, data: bytes = b"") -> bytes:
    """A `.npy` file of version 1 with any head."""
    text = head.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def packed(folder: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(folder / PATH, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return folder / PATH


def head(kind: str, shape: str) -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


def test_what_numpy_wrote_is_read_and_what_is_no_array_is_left_out(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.arange(3))
    read = read_arrays(packed(tmp_path, numbers=stream.getvalue(), text=b"no array"), 10_000)
    assert list(read) == ["numbers"] and read["numbers"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "data",
    [
        member(head("<f4", "(1000000000000000,)"), bytes(40)),
        member(head("<f4", "(-1,)"), bytes(40)),
        member(head("<f4", "('a',)"), bytes(40)),
        member(head("<f4", "(10,)"), bytes(8)),
        member(head("|O", "(1,)"), b"cos\nsystem\n"),
        member(head("<q9", "(1,)"), bytes(40)),
        member("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }\n"),
        member("((((((((\n"),
        member(head("<f4", "(1,)"))[:9],
    ],
    ids=["huge", "negative", "words", "cut", "pickle", "kind", "code", "brackets", "head"],
)
def test_damage_is_one_named_line(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"arrays\.npz: cannot be read \(.*\); restore the folder"):
        read_arrays(packed(tmp_path, numbers=data), 10_000_000)


def test_a_bomb_is_refused_by_its_size_before_it_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path, zeros=member(head("<f4", "(5000000,)"), bytes(20_000_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="more than 1,000,000 bytes inside"):
        read_arrays(path, 1_000_000)
