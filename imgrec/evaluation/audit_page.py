"""The page of an audit: one HTML file with thumbnails of what was found."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from imgrec.data.audit.findings import CODES, Finding
from imgrec.data.audit.scores import Scores
from imgrec.evaluation.figures import data_uri
from imgrec.evaluation.page import render
from imgrec.files import write_text

SHOWN = 24
"""Images shown of one kind of finding; the others are named in audit.json."""
_EXTREMES = 6
_LISTED = 200


class Measured(Protocol):
    """What the page needs to know of the usable images, see `data.audit.duplicates.ImageFacts`."""

    @property
    def ids(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def scores(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Kind:
    """The findings of one code; each with its images' data URIs (of the file, and of a copy it names)."""

    code: str
    severity: str
    meaning: str
    count: int
    shown: list[tuple[Finding, str]]
    listed: list[Finding]


def write_page(
    path: Path,
    data: str,
    findings: Sequence[Finding],
    measured: Measured,
    show: Callable[[str], np.ndarray | None],
    notes: Sequence[str],
    command: str = "",
) -> None:
    """Write the page of one audit to `path`, whole or not at all.

    Args:
        path: the HTML file.
        data: the specification that was audited.
        findings: what was found, worst first within a kind.
        measured: ids and scores of the usable images.
        show: id → pixels uint8 `[h, w, 1 or 3]`, None for a file that holds no usable image.
        notes: what else is to be said, such as what was not looked for.
        command: the command line, if known.
    """
    kinds = _kinds(findings, show)
    page = render(
        "audit.html.j2",
        title=data,
        links=[*((kind.code, kind.code.replace("_", " ")) for kind in kinds), ("extremes", "extremes")],
        images=len(measured.ids),
        kinds=kinds,
        tiles=[
            (name, sum(k.count for k in kinds if k.severity == name)) for name in ("error", "warning", "info")
        ],
        extremes=_extremes(measured, show),
        notes=notes,
        command=command,
        shown=SHOWN,
    )
    write_text(path, page)


def _kinds(findings: Sequence[Finding], show: Callable[[str], np.ndarray | None]) -> list[Kind]:
    held: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        held[finding.code].append(finding)
    kinds = []
    for code, (severity, meaning) in CODES.items():
        if code not in held:
            continue
        first = [(finding, show(finding.id)) for finding in held[code][:SHOWN]]
        shown = [(finding, data_uri(pixels)) for finding, pixels in first if pixels is not None]
        seen = {id(finding) for finding, _ in shown}
        listed = [finding for finding in held[code] if id(finding) not in seen][:_LISTED]
        kinds.append(Kind(code, severity, meaning, len(held[code]), shown, listed))
    return kinds


def _extremes(
    measured: Measured, show: Callable[[str], np.ndarray | None]
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The images at the doubtful end of each score: (title, [(id, score, data URI)])."""
    ends = {"brightness": ("Darkest", 1), "contrast": ("Flattest", 1), "blur": ("Most blurred", -1)}
    ends["haze"] = ("Haziest, or whitest", -1)
    rows = []
    for name, (title, sign) in ends.items():
        scores = measured.scores[:, Scores._fields.index(name)]
        chosen = np.argsort(sign * scores, kind="stable")[:_EXTREMES].tolist()
        tiles = []
        for row in chosen:
            pixels = show(measured.ids[row])
            if pixels is not None:
                tiles.append((measured.ids[row], f"{name} {scores[row]:.3f}", data_uri(pixels)))
        rows.append((title, tiles))
    return rows
