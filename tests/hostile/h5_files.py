"""Weights in HDF5 that would read other files, take all memory, or never end: each made of a good file."""

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

TARGET = "layers/dense/vars/0"
"""The weight of LeNet-5 that is replaced: its first dense kernel."""


def edited(good: bytes, edit: Callable[[h5py.File], None]) -> bytes:
    stream = io.BytesIO(good)
    with h5py.File(stream, "r+") as file:
        edit(file)
    return stream.getvalue()


def _replaced(make: Callable[[h5py.File, tuple[int, ...], Path], None]) -> Callable[[bytes, Path], bytes]:
    def build(good: bytes, secret: Path) -> bytes:
        def edit(file: h5py.File) -> None:
            shape = file[TARGET].shape
            del file[TARGET]
            make(file, shape, secret)

        return edited(good, edit)

    return build


def _external_storage(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file.create_dataset(TARGET, shape, "float32", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def _external_link(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file[TARGET] = h5py.ExternalLink(str(secret), "/x")


def _soft_link(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file[TARGET] = h5py.SoftLink("/layers/dense_1/vars/0")


def _virtual(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    layout = h5py.VirtualLayout(shape, "float32")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape)
    file.create_virtual_dataset(TARGET, layout)


def _shape_bomb(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file.create_dataset(TARGET, (10**6, 10**6, 10**3), "float32", chunks=(1, 1, 1000))


def _chunk_bomb(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file.create_dataset(TARGET, data=np.zeros((4096, 4096), np.float32), chunks=True, compression="gzip")


def _filter(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file.create_dataset(TARGET, data=np.zeros(shape, np.float32), chunks=shape, shuffle=True, fletcher32=True)


def _wrong_shape(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file[TARGET] = np.zeros((shape[0] + 1, *shape[1:]), np.float32)


def _wrong_type(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file[TARGET] = np.zeros(shape, np.float64)


def _texts(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file.create_dataset(TARGET, data=["boom"] * 3, dtype=h5py.string_dtype())


def _growing(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file.create_dataset(TARGET, shape, "float32", maxshape=(None,) * len(shape), chunks=shape)


def _circle(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file["layers/dense/vars/0"] = file["layers"]


def _surplus(file: h5py.File, shape: tuple[int, ...], secret: Path) -> None:
    file[TARGET] = np.zeros(shape, np.float32)
    file["layers/dense/vars/9"] = np.zeros(9, np.float32)


H5: dict[str, Callable[[bytes, Path], bytes]] = {
    "CVE-2026-1669 external storage": _replaced(_external_storage),
    "external link": _replaced(_external_link),
    "soft link": _replaced(_soft_link),
    "virtual dataset": _replaced(_virtual),
    "CVE-2026-0897 shape bomb": _replaced(_shape_bomb),
    "compressed chunks": _replaced(_chunk_bomb),
    "filters": _replaced(_filter),
    "wrong shape": _replaced(_wrong_shape),
    "wrong type": _replaced(_wrong_type),
    "texts for numbers": _replaced(_texts),
    "a dataset that grows": _replaced(_growing),
    "a circle of groups": _replaced(_circle),
    "a weight too many": _replaced(_surplus),
}
"""Vulnerability → (weights of a good file, a file that is none of its business) → weights."""
