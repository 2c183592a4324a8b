"""Which images look alike: perceptual hashes first, then a distance between thumbnails.

The hash is pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010)
in the form of the package `imagehash`: the signs of the 64 lowest frequencies about their median.
Sets of one kind of thing, such as shirts on black, have many different images of near hashes; of
the pairs that the hash lets through, those stay whose low frequencies are nearly equal, or are closer
to one another than to anything else by far (the ratio test of Lowe, "Distinctive image features from
scale-invariant keypoints", 2004).
"""

import numpy as np
from scipy.fft import dct

from imgrec.data.audit.scores import SIDE

HASH_SIDE = 8
_MAX_BITS = 12
# Thresholds chosen on the embedded sample; tests/data/test_audit_duplicates.py says how they do.
_FREQUENCIES = 10
_COSINES = dct(np.eye(SIDE), axis=0)[:_FREQUENCIES]
_SURE, _POSSIBLE, _RATIO = 0.003, 0.05, 0.3
_RANK = 3  # copies beside the one in question that the ratio test allows for
_FAR = 0.07  # how far the next other image counts as being, at most
_COLOUR = 12.0
_BLANK = 2 / 255
_BLOCK = 512
_ROWS = 16  # of the table of all pairs, at a time
THRESHOLDS = (HASH_SIDE, _MAX_BITS, _FREQUENCIES, _SURE, _POSSIBLE, _RATIO, _RANK, _FAR, _COLOUR, _BLANK)
"""All that decides which images look alike; what was found under others is not found again."""


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return uint64 `[N]`, the 64 bits of pHash, of thumbnails uint8 `[N, THUMBNAIL_BYTES]`.

    Their hexadecimal form is what `imagehash.phash` gives for the grey thumbnail.
    """
    return _hashes(_frequencies(thumbnails))


def near_pairs(thumbnails: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """Return int64 `[M, 2]`, pairs i < j of images that look alike, of N in order.

    Compares all with all: 0.4 s for ten thousand images, 3 s for forty thousand.

    Args:
        thumbnails: uint8 `[N, THUMBNAIL_BYTES]`.
        contrast: standard deviation of luma, 0…0.5, `[N]`; blank images are like no other.
    """
    chosen = np.flatnonzero(contrast > _BLANK)
    if len(chosen) < 2:
        return np.zeros((0, 2), np.int64)
    thumbnails = thumbnails[chosen]
    spectra = _frequencies(thumbnails)
    vectors = spectra.reshape(len(spectra), -1)[:, 1:].astype(np.float32)
    colours = thumbnails[:, SIDE * SIDE :].astype(np.float32)
    pairs, distances, reference = _candidates(_hashes(spectra), vectors)
    near = np.abs(colours[pairs[:, 0]] - colours[pairs[:, 1]]).mean(axis=1) <= _COLOUR
    limit = _RATIO * np.minimum(reference[pairs[:, 0]], reference[pairs[:, 1]])
    alike = near & ((distances < _SURE) | (distances < np.minimum(limit, _POSSIBLE)))
    return chosen[pairs[alike]]


def _candidates(hashes: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of near hashes.

    Args:
        hashes: uint64 `[N]`.
        vectors: float32 `[N, D]`.

    Returns:
        Pairs i < j int64 `[M, 2]`, their distances float32 `[M]`, and for each image the distance
        to its nearest neighbour but `_RANK` (`_FAR` where that is farther, or none is left), `[N]`.
    """
    energy = np.maximum((vectors**2).sum(axis=1), 1e-9)
    # One for all rows: fresh memory costs more than counting bits.
    differing = np.empty((_ROWS, len(hashes)), np.uint64)
    reference = np.full(len(hashes), _FAR, np.float32)
    pairs, distances = [], []
    for top in range(0, len(hashes), _ROWS):
        some = hashes[top : top + _ROWS]
        bits = np.bitwise_count(np.bitwise_xor(some[:, np.newaxis], hashes, out=differing[: len(some)]))
        row, column = np.divmod(np.flatnonzero(bits <= _MAX_BITS), len(hashes))
        row += top
        row, column = row[row != column], column[row != column]
        apart = _distances(vectors, energy, row, column)
        reference[top : top + _ROWS] = _ranked(row - top, apart, len(some))
        kept = (apart < _POSSIBLE) & (row < column)
        pairs.append(np.stack([row[kept], column[kept]], axis=1))
        distances.append(apart[kept])
    return np.concatenate(pairs), np.concatenate(distances), reference


def _distances(vectors: np.ndarray, energy: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Squared distance of each pair in units of the lesser energy, float32 `[M]`."""
    apart = np.empty(len(row), np.float32)
    for start in range(0, len(row), 1 << 16):
        part = slice(start, start + (1 << 16))
        apart[part] = ((vectors[row[part]] - vectors[column[part]]) ** 2).sum(axis=1)
    return apart / np.minimum(energy[row], energy[column])


def _ranked(row: np.ndarray, apart: np.ndarray, count: int) -> np.ndarray:
    """The distance of rank `_RANK` (0 is the nearest) in each row, at most `_FAR`: float32 `[count]`."""
    order = np.lexsort((apart, row))
    starts = np.searchsorted(row[order], np.arange(count + 1))
    at = starts[:-1] + _RANK
    found = np.full(count, _FAR, np.float32)
    long = at < starts[1:]
    found[long] = np.minimum(apart[order][at[long]], _FAR)
    return found


def _frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """The lowest of the cosine transform of grey thumbnails, float64 `[N, _FREQUENCIES, _FREQUENCIES]`."""
    grey = thumbnails[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE)
    result = np.empty((len(grey), _FREQUENCIES, _FREQUENCIES))
    for top in range(0, len(grey), _BLOCK):
        result[top : top + _BLOCK] = _COSINES @ grey[top : top + _BLOCK].astype(np.float64) @ _COSINES.T
    return result


def _hashes(spectra: np.ndarray) -> np.ndarray:
    """The hashes of images with these cosine transforms, uint64 `[N]`."""
    low = spectra[:, :HASH_SIDE, :HASH_SIDE].reshape(-1, HASH_SIDE**2)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
