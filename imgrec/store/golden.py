"""Golden pictures: a dozen files, and what a version answered to them when it came into the store."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.files import sha256_of, write_file
from imgrec.guards.arrays import read_arrays
from imgrec.serving.predictor import ROUNDING, Predictor

FILE = "golden.npz"
MANY = 12
MOST_BYTES = 256_000_000
STEPS = 2 / 256
"""Scores of a network in whole numbers: two steps of its output. Interpreters round half steps either way."""
_KEYS = {"data", "lengths", "scores"}


@dataclass(frozen=True)
class Golden:
    """Pictures with their answers.

    pictures: encoded files, `[N]`.
    scores: float32 `[N, S]`, as `Predictor.predict` gives them.
    """

    pictures: tuple[bytes, ...]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, predictor: Predictor, pictures: tuple[bytes, ...]) -> "Golden":
        """Ask a predictor."""
        images = np.stack([predictor.preprocess.on_bytes(each) for each in pictures])
        return cls(pictures, predictor.predict(images))

    def apart(self, index: int, scores: NDArray[np.float32]) -> float:
        """Return how far scores `[S]` are from those of picture `index`: the largest difference.

        Of scores beyond 1, which are no probabilities, it is a share of them. It is infinite for scores of
        another number, or such as are not finite.
        """
        expected = self.scores[index]
        if scores.shape != expected.shape or not np.isfinite(scores).all():
            return float("inf")
        return float((np.abs(scores - expected) / np.maximum(1, np.abs(expected))).max(initial=0))


def rounding_of(serves: str) -> float:
    """Return how far scores of one and the same model may be apart, on another machine or beside others.

    Args:
        serves: the file that answers, which is named after its arithmetic; empty for a run folder: float32.
    """
    return ROUNDING if not serves or "float32" in Path(serves).name else STEPS


def write(folder: Path, golden: Golden) -> str:
    """Write `golden.npz`; return its sha256."""
    lengths = np.array([len(each) for each in golden.pictures], np.int64)
    data = np.frombuffer(b"".join(golden.pictures), np.uint8)
    scores = golden.scores
    write_file(folder / FILE, lambda path: np.savez(path, data=data, lengths=lengths, scores=scores))
    return sha256_of(folder / FILE)


def read(folder: Path, digest: str) -> Golden:
    """Read what `write` wrote.

    Raises:
        InputError: the file is missing or damaged, is another one, or holds something else.
    """
    path = folder / FILE
    if not path.is_file() or sha256_of(path) != digest:
        raise InputError(f"{path}: missing, or not the file that was written when the version was added")
    held = read_arrays(path, MOST_BYTES)
    kinds = {name: (part.dtype.kind, part.ndim) for name, part in held.items()}
    if kinds != {"data": ("u", 1), "lengths": ("i", 1), "scores": ("f", 2)}:
        raise InputError(f"{path}: expected {', '.join(sorted(_KEYS))} as they were written; add it again")
    ends = np.cumsum(held["lengths"])
    if not len(ends) == len(held["scores"]) > 0 or ends[-1] != len(held["data"]) or held["lengths"].min() < 0:
        raise InputError(f"{path}: lengths and pictures do not fit; add the version again")
    data = held["data"].tobytes()
    pictures = tuple(
        data[end - length : end] for end, length in zip(ends.tolist(), held["lengths"].tolist(), strict=True)
    )
    return Golden(pictures, held["scores"].astype(np.float32, copy=False))
