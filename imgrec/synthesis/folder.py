"""What a synthesis leaves: a folder of images for --extra-data, how they came to be, and a sheet."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgrec import places
from imgrec.data.sources.extra import RECORD, folder_name
from imgrec.errors import InputError
from imgrec.files import write_file, write_json

if TYPE_CHECKING:
    from imgrec.synthesis.gan import Trained
    from imgrec.synthesis.plan import Plan

FORMAT = "imgrec synthesis 1"
_TRUE, _MADE = 2, 6
"""Images of a class on the sheet."""
_COMPARED = 200


def check_out(out: Path) -> None:
    """Raise InputError unless `out` is absent, empty, or the folder of an earlier synthesis."""
    for folder in (out, places.prove(out).staging):
        if places.has_content(folder) and not _is_ours(folder):
            raise InputError(
                f"--out {out}: {folder} holds files that are no synthesis; name a new or empty folder"
            )


def _is_ours(folder: Path) -> bool:
    try:
        return json.loads((folder / RECORD).read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


def write(plan: "Plan", trained: "Trained", made: Mapping[int, np.ndarray], command: str) -> Path:
    """Write class folders, synthesis.json and sheet.png, put the whole in its place, and return where it is.

    Args:
        plan: what was settled before.
        trained: what was learned.
        made: uint8 `[N, H, W, C]` by class number.
        command: the command line.
    """
    from imgrec import runtime
    from imgrec.data.loading import load_arrays

    settings, source = plan.settings, plan.source
    place = places.place_of(settings.out)
    staging = place.staging
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    counts = source.train.counts(len(source.classes)).tolist()
    images_of = dict(zip(source.classes, counts, strict=True))
    record: dict[str, Any] = {
        "format": FORMAT,
        "command": command,
        "source": {"name": source.name, "fingerprint": plan.learned_from, "images": images_of},
        "settings": asdict(settings) | asdict(settings.pair) | {"out": str(settings.out)},
        "versions": runtime.versions(),
        "seconds": trained.seconds,
        "losses": trained.losses,
        "made": {},
    }
    # First of all: an unfinished folder is known as ours by it.
    write_json(staging / RECORD, record)
    rows: list[tuple[str, np.ndarray, np.ndarray]] = []
    for label, images in made.items():
        name = source.classes[label]
        members = np.flatnonzero(source.train.labels == label)[:_COMPARED]
        true = load_arrays(source.train.take(members), plan.preprocess)
        _write_images(staging / folder_name(name), images)
        record["made"][name] = {
            "folder": folder_name(name),
            "images": len(images),
            "learned_from": counts[label],
            "nearest": nearest(true, images[:_COMPARED]),
        }
        rows.append((name, true[:_TRUE], images[:_MADE]))
    _write_sheet(staging / "sheet.png", rows)
    write_json(staging / RECORD, record)
    where = places.put(place, last=(RECORD,))
    return settings.out if where == place.target else where


def _write_images(folder: Path, images: np.ndarray) -> None:
    import cv2

    folder.mkdir()
    for number, image in enumerate(images):
        _, data = cv2.imencode(".png", image[..., ::-1])  # OpenCV's order of colours
        (folder / f"{number:05d}.png").write_bytes(data.tobytes())


def _write_sheet(path: Path, rows: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Draw some true and made images of each class, by name."""
    from imgrec.data.augment.sheet import contact_sheet

    images = np.concatenate([part for _, *parts in rows for part in parts])
    titles = [
        f"{name}, {kind}"
        for name, *parts in rows
        for kind, part in zip(("true", "made"), parts, strict=True)
        for _ in part
    ]
    sheet = contact_sheet(images, titles)
    write_file(path, lambda temporary: sheet.savefig(temporary, format="png"))


def nearest(true: np.ndarray, made: np.ndarray) -> dict[str, float | None]:
    """How far images lie from the nearest other one: the median root mean square difference, 0…255.

    Far smaller from made to true ones than among the true ones, the network repeats what it was shown; far
    smaller among the made ones, it makes the same image again and again.

    Args:
        true: uint8 `[N, H, W, C]`.
        made: uint8 `[M, H, W, C]`.
    """
    first, second = (images.reshape(len(images), -1).astype(np.float32) for images in (true, made))
    return {
        "made_to_true": _median_distance(second, first),
        "true_to_true": _median_distance(first, first, itself=True),
        "made_to_made": _median_distance(second, second, itself=True),
    }


def _median_distance(rows: np.ndarray, others: np.ndarray, itself: bool = False) -> float | None:
    """Median over `rows` of the distance to the nearest of `others`; None where there is no other."""
    if len(others) < 1 + itself:
        return None
    squares = (rows**2).sum(1)[:, None] - 2 * rows @ others.T + (others**2).sum(1)[None]
    if itself:
        np.fill_diagonal(squares, np.inf)
    return round(float(np.median(np.sqrt(np.maximum(squares.min(axis=1), 0) / rows.shape[1]))), 2)
