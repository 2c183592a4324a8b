"""Rebuild the embedded sample, byte for byte, from the original Fashion-MNIST files.

    python -m benchmarks.build_sample --from /usr/share/datasets/fashion-mnist [--to FILE]

The folder is the one that Debian's package `dataset-fashion-mnist` installs. Which images are taken
depends on their index alone (the order of sha256 over it), so no library's random numbers matter.
"""

import argparse
import hashlib
import lzma
from pathlib import Path

import numpy as np

from imgrec.data.sources.arrays import read_idx
from imgrec.data.sources.sample import ASSET, CLASSES, COUNTS

# Preset 9 extreme, written out: a preset's meaning may change with the library, these may not.
# Neighbouring pixels as plain bytes compress better than their differences (measured, 5.2 against 5.4 MB).
LZMA = {
    "id": lzma.FILTER_LZMA2,
    "dict_size": 1 << 24,
    "lc": 3,
    "lp": 0,
    "pb": 2,
    "mode": lzma.MODE_NORMAL,
    "nice_len": 273,
    "mf": lzma.MF_BT4,
    "depth": 512,
}


def draw(labels: np.ndarray, per_class: list[int], name: str) -> list[np.ndarray]:
    """Return disjoint, ascending index arrays, each with `per_class[i]` examples of every class."""
    parts: list[list[int]] = [[] for _ in per_class]
    for label in range(len(CLASSES)):
        members = np.flatnonzero(labels == label).tolist()
        members.sort(key=lambda index: hashlib.sha256(f"{name}-{index:05d}".encode()).digest())
        for part, count in zip(parts, per_class, strict=True):
            part += members[:count]
            del members[:count]
    return [np.sort(np.array(part)) for part in parts]


def build(folder: Path) -> bytes:
    """Return the sample's file: indices (`<u4`), labels and pixels (bytes) end to end, in one xz stream.

    Raises:
        InputError: a file of the original set is missing from `folder`, or is no IDX file.
    """
    original = {name: read_idx(folder, prefix) for name, prefix in (("train", "train"), ("test", "t10k"))}
    per_class = {split: count // len(CLASSES) for split, count in COUNTS.items()}
    train, val = draw(original["train"][1], [per_class["train"], per_class["val"]], "train")
    (test,) = draw(original["test"][1], [per_class["test"]], "test")
    chosen = [("train", train), ("train", val), ("test", test)]

    data = b"".join(
        (
            np.concatenate([index for _, index in chosen]).astype("<u4").tobytes(),
            np.concatenate([original[name][1][index] for name, index in chosen]).tobytes(),
            np.concatenate([original[name][0][index] for name, index in chosen]).tobytes(),
        )
    )
    return lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=[LZMA])


def main() -> None:
    """Write the sample and print its size and sha256, which `sample.py` records."""
    parser = argparse.ArgumentParser(description="Rebuild the embedded sample of Fashion-MNIST.")
    parser.add_argument("--from", dest="folder", type=Path, required=True, help="folder of the *.gz files")
    parser.add_argument("--to", type=Path, default=ASSET, help="file to write")
    arguments = parser.parse_args()
    data = build(arguments.folder)
    arguments.to.write_bytes(data)
    print(f"{arguments.to}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
