"""The same image more than once: in equal bytes or by its looks, across splits, under two labels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from imgrec.data.audit.findings import Finding
from imgrec.data.audit.neighbours import near_pairs


@dataclass(frozen=True)
class ImageFacts:
    """What is known of N images to compare them by.

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


def find_duplicates(facts: ImageFacts) -> list[Finding]:
    """Return one finding for every image of which there is a copy; it names one other and counts the rest.

    A copy in another split is named before one in the same, and one under another label has a finding
    of its own.
    """
    if not facts.ids:
        return []
    # Of equal bytes one image stands for all in the search for near copies.
    _, first, same = np.unique(facts.digests, return_index=True, return_inverse=True)
    row, column = near_pairs(facts.thumbnails[first], facts.scores[first, 1]).T
    graph = coo_array((np.ones(len(row), np.int8), (row, column)), shape=(len(first), len(first)))
    alike = connected_components(graph, directed=False)[1][same]
    groups: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(alike.tolist()):
        groups[number].append(index)
    findings = []
    for group in groups.values():
        for member in group:
            others = [other for other in group if other != member]
            exact = [other for other in others if same[other] == same[member]]
            near = [other for other in others if same[other] != same[member]]
            findings += _copies(facts, member, exact, "duplicate", "same bytes as")
            findings += _copies(facts, member, near, "near_duplicate", "looks like")
            findings += _other_label(facts, member, exact + near)
    return findings


def _copies(facts: ImageFacts, member: int, copies: Sequence[int], code: str, words: str) -> list[Finding]:
    if not copies:
        return []
    outside = [copy for copy in copies if facts.splits[copy] != facts.splits[member]]
    shown = (outside or copies)[0]
    detail = f"{words} {facts.ids[shown]}"
    if outside:
        code += "_across_splits"
        detail += f", which is in {facts.splits[shown]} and not in {facts.splits[member]}"
    return [Finding(facts.ids[member], code, detail + _and_more(len(copies) - 1))]


def _other_label(facts: ImageFacts, member: int, copies: Sequence[int]) -> list[Finding]:
    labels = facts.labels
    otherwise = [copy for copy in copies if labels[copy] != labels[member]]
    if not otherwise:
        return []
    other = otherwise[0]
    detail = f"labelled {labels[member]!r}, and its copy {facts.ids[other]} {labels[other]!r}"
    return [Finding(facts.ids[member], "two_labels", detail + _and_more(len(otherwise) - 1))]


def _and_more(count: int) -> str:
    return f" (and {count} more)" if count else ""
