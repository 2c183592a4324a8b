"""`.keras` archives that are not what Keras writes: bombs, twins, links, ways out."""

import io
import json
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from configs import CONFIGS, Payload
from h5_files import H5

WEIGHTS = "model.weights.h5"


def members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as held:
        return {name: held.read(name) for name in held.namelist()}


def packed(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _with_config(good: bytes, config: dict[str, Any]) -> bytes:
    return packed({**members(good), "config.json": json.dumps(config).encode()})


def _twins(good: bytes, canary: Path, secret: Path) -> bytes:
    stream = io.BytesIO(good)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.filelist.append(archive.getinfo(WEIGHTS))
        archive._didModify = True  # type: ignore[attr-defined] # the list alone is written again
    return stream.getvalue()


def _linked(good: bytes, canary: Path, secret: Path) -> bytes:
    parts = members(good)
    del parts[WEIGHTS]
    stream = io.BytesIO(packed(parts))
    with zipfile.ZipFile(stream, "a") as archive:
        link = zipfile.ZipInfo(WEIGHTS)
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
    return stream.getvalue()


def _claiming(good: bytes, canary: Path, secret: Path) -> bytes:
    """The directory says that the weights are 2 GiB, the file is not as long."""
    size = len(members(good)[WEIGHTS]).to_bytes(4, "little")
    at = good.rfind(size + size)
    return good[:at] + b"\xff\xff\xff\x7f" * 2 + good[at + 8 :]


def _npz(good: bytes, canary: Path, secret: Path) -> bytes:
    parts = members(good)
    del parts[WEIGHTS]
    stream = io.BytesIO()
    np.savez(stream, x=np.array([Payload(canary)], object))
    return packed({**parts, "model.weights.npz": stream.getvalue()})


def _legacy(good: bytes, canary: Path, secret: Path) -> bytes:
    """Keras 2's whole model in one HDF5 file, where safe mode was never asked (CVE-2025-9905)."""
    stream = io.BytesIO()
    lambda_ = CONFIGS["CVE-2024-3660 code in a Lambda"](canary, secret)
    model = {"class_name": "Sequential", "config": {"name": "evil", "layers": [lambda_]}}
    with h5py.File(stream, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "3.15.1"
        file.create_group("model_weights")
    return stream.getvalue()


def _pickle(good: bytes, canary: Path, secret: Path) -> bytes:
    return pickle.dumps(Payload(canary))


def _of_config(name: str) -> Callable[[bytes, Path, Path], bytes]:
    # Weights of another shape make sure that the archive is not accepted for its weights' sake.
    def build(good: bytes, canary: Path, secret: Path) -> bytes:
        return _with_config(good, CONFIGS[name](canary, secret))

    return build


def _of_h5(name: str) -> Callable[[bytes, Path, Path], bytes]:
    def build(good: bytes, canary: Path, secret: Path) -> bytes:
        parts = members(good)
        return packed({**parts, WEIGHTS: H5[name](parts[WEIGHTS], secret)})

    return build


ARCHIVES: dict[str, Callable[[bytes, Path, Path], bytes]] = {
    **{name: _of_h5(name) for name in H5},
    "a zip bomb": lambda good, canary, secret: packed(
        {**members(good), WEIGHTS: bytes(64 << 20)}, zipfile.ZIP_DEFLATED
    ),
    "two members of one name": _twins,
    "a symbolic link": _linked,
    "a size that is not there": _claiming,
    "CVE-2025-12060 a member that leads out": lambda good, canary, secret: packed(
        {**members(good), f"../../..{canary}": b"here"}
    ),
    "an asset": lambda good, canary, secret: packed({**members(good), "assets/x/vocabulary.txt": b"x"}),
    "pickled NumPy weights": _npz,
    "CVE-2025-9905 the legacy format": _legacy,
    "a pickle by another name": _pickle,
    "no weights": lambda good, canary, secret: packed({"config.json": b"{}", "metadata.json": b"{}"}),
    "nothing": lambda good, canary, secret: b"",
}
"""Vulnerability → (a good archive, canary, a file that is not its business) → an archive to be refused."""
OBEYED_ONLY_BY_CONFIG: dict[str, Callable[[bytes, Path, Path], bytes]] = {n: _of_config(n) for n in CONFIGS}
"""Archives whose config.json is hostile and whose weights are good: the config is never read."""
