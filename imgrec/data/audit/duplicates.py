"""The same picture more than once: in equal bytes or by its looks, across splits, under two labels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from imgrec.data.audit.findings import Finding
from imgrec.data.audit.neighbours import near_pairs


@dataclass(frozen=True)
class Pictures:
    """What is known of N pictures to compare them by.

    ids, splits: names, `[N]`; labels: class names, `[N]`.
    digests: sha256 of what each holds, `[N]`.
    thumbnails: uint8 `[N, THUMBNAIL_BYTES]`, see `scores.measure`; scores: float32 `[N, 4]`.
    """

    ids: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    digests: tuple[str, ...]
    thumbnails: np.ndarray
    scores: np.ndarray


def find_duplicates(pictures: Pictures) -> list[Finding]:
    """Return one finding for every picture of which there is a copy; it names one other and counts the rest.

    A copy in another split is named before one in the same, and one under another label has a finding
    of its own.
    """
    if not pictures.ids:
        return []
    same = _numbered(pictures.digests)
    # Of equal bytes one picture stands for all in the search for near copies.
    first = np.unique(same, return_index=True)[1]
    pairs = near_pairs(pictures.thumbnails[first], pictures.scores[first, 1])
    alike = _connected(pairs, len(first))[same] if len(pairs) else same
    findings = []
    for group in _groups(alike):
        for member in group:
            others = [other for other in group if other != member]
            exact = [other for other in others if same[other] == same[member]]
            near = [other for other in others if same[other] != same[member]]
            findings += _copies(pictures, member, exact, "duplicate", "same bytes as")
            findings += _copies(pictures, member, near, "near_duplicate", "looks like")
            findings += _other_label(pictures, member, exact + near)
    return findings


def _copies(pictures: Pictures, member: int, copies: Sequence[int], code: str, words: str) -> list[Finding]:
    if not copies:
        return []
    outside = [copy for copy in copies if pictures.splits[copy] != pictures.splits[member]]
    shown = (outside or copies)[0]
    detail = f"{words} {pictures.ids[shown]}"
    if outside:
        code += "_across_splits"
        detail += f", which is in {pictures.splits[shown]} and not in {pictures.splits[member]}"
    return [Finding(pictures.ids[member], code, detail + _and_more(len(copies) - 1))]


def _other_label(pictures: Pictures, member: int, copies: Sequence[int]) -> list[Finding]:
    labels = pictures.labels
    otherwise = [copy for copy in copies if labels[copy] != labels[member]]
    if not otherwise:
        return []
    other = otherwise[0]
    detail = f"labelled {labels[member]!r}, and its copy {pictures.ids[other]} {labels[other]!r}"
    return [Finding(pictures.ids[member], "two_labels", detail + _and_more(len(otherwise) - 1))]


def _and_more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def _numbered(keys: Sequence[str]) -> np.ndarray:
    """Number equal keys alike: int64 `[N]`."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def _connected(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return the component of each of `count` nodes, joined by `pairs` int `[M, 2]`."""
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _groups(numbers: np.ndarray) -> list[list[int]]:
    """Members of every number that occurs more than once, in order."""
    held: dict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(numbers.tolist()):
        held[number].append(place)
    return [members for members in held.values() if len(members) > 1]
