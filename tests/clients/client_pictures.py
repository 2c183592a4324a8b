"""Generated colour pictures: shapes on a noisy ground, for files that real clients open."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

SHAPES: dict[str, Callable[[np.ndarray, tuple[int, int], int, tuple[int, int, int]], None]] = {
    "disc": lambda to, at, r, colour: cv2.circle(to, at, r, colour, -1),
    "square": lambda to, at, r, colour: cv2.rectangle(
        to, (at[0] - r, at[1] - r), (at[0] + r, at[1] + r), colour, -1
    ),
    "cross": lambda to, at, r, colour: cv2.drawMarker(to, at, colour, cv2.MARKER_TILTED_CROSS, 2 * r, 3),
    "dürer’s star": lambda to, at, r, colour: cv2.drawMarker(to, at, colour, cv2.MARKER_STAR, 2 * r, 2),
}
"""By class; a name with letters that are no ASCII goes through every client."""


def picture(shapes: Sequence[str], size: tuple[int, int], seed: int) -> np.ndarray:
    """Draw each of the shapes somewhere, in some colour; uint8 `[*size, 3]`."""
    chance, (height, width) = np.random.default_rng(seed), size
    image = chance.integers(0, 120, (height, width, 3)).astype(np.uint8)
    for shape in shapes:
        radius = int(min(size) * chance.uniform(0.14, 0.22))
        at = (
            int(chance.integers(radius, width - radius)),
            int(chance.integers(radius, height - radius)),
        )
        red, green, blue = map(int, chance.integers(130, 256, 3))
        SHAPES[shape](image, at, radius, (red, green, blue))
    return image


def folder_of_classes(folder: Path, each: int, size: tuple[int, int]) -> Path:
    """Write `each` pictures of every class, one shape a picture, as `folder/class/….png`."""
    for place, name in enumerate(SHAPES):
        for number in range(each):
            image = picture([name], size, 1000 * place + number)
            write(folder / name / f"{place}_{number:03d}.png", image)
    return folder


def table_of_labels(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write pictures of none to all shapes, and a CSV file that names them."""
    chance = np.random.default_rng(7)
    folder.mkdir(parents=True)
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", *SHAPES])
        for number in range(count):
            shown = chance.random(len(SHAPES)) < 0.5
            image = picture([name for name, there in zip(SHAPES, shown, strict=True) if there], size, number)
            path = write(folder / "images" / f"{number:03d}.png", image)
            rows.writerow([path.relative_to(folder), *shown.astype(int)])
    return folder / "labels.csv"


def write(path: Path, image: np.ndarray) -> Path:
    """Write uint8 `[H, W, 3]` RGB or `[H, W, 1]` as the path's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image[..., ::-1])[1].tobytes())
    return path
