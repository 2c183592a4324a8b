"""Characters as classes, fonts as pictures: a set like Omniglot, drawn from the fonts that Debian packages.

    apt-get install fonts-dejavu-extra fonts-freefont-ttf fonts-liberation fonts-noto-core fonts-noto-mono
    apt-get install fonts-cmu fonts-sil-andika fonts-sil-charis fonts-sil-doulos fonts-sil-gentiumplus
    apt-get install fonts-roboto-unhinted fonts-open-sans fonts-comfortaa fonts-junicode fonts-ebgaramond
    apt-get install fonts-linuxlibertine fonts-paratype fonts-hack
    python -m benchmarks.glyphs --out saved_models/glyphs

Writes `known.npz`, to learn from, and `unseen.npz`, whose characters are all others: 28 × 28 grey, dark on
white. Fonts are divided, too: `known.npz` has its own validation and test fonts. A character that fonts draw
as they draw an earlier one (Latin A and Cyrillic А) is left out.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.cli import guarded, parse

SIDE, EM, LARGEST = 28, 22, 26
"""Pixels of a picture, of a font's em, and of a glyph's longer side at most."""
HIGHEST = 0x2FFF
"""Last character that is looked at: beyond are ideographs, which few fonts have."""
VALIDATION, TEST = 3, 2
"""Fonts of each known character that are for validation, and for test."""


@dataclass(frozen=True)
class Settings:
    """What is drawn."""

    out: Path = Path("saved_models/glyphs")
    """Folder of both files."""
    fonts: Path = Path("/usr/share/fonts")
    """Folder below which the fonts lie."""
    most: int = 24
    """Fonts of a character at most."""
    fewest: int = 20
    """Fonts that a character must be in."""
    unseen: float = 0.3
    """Share of the characters that are kept apart."""
    seed: int = 0
    """Of the division of characters."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw and write both files."""
    settings = parse(Settings, argv, prog="python -m benchmarks.glyphs", description=__doc__)
    faces = read_faces(settings.fonts)
    drawn = draw_all(faces, settings)
    names = sorted(drawn)
    order = np.random.default_rng(settings.seed).permutation(len(names))
    apart = round(settings.unseen * len(names))
    settings.out.mkdir(parents=True, exist_ok=True)
    unseen, known = (sorted(names[i] for i in part) for part in (order[:apart], order[apart:]))
    write_known(settings.out / "known.npz", {name: drawn[name] for name in known})
    write(settings.out / "unseen.npz", stacked("", {name: drawn[name] for name in unseen}))
    pictures = sum(len(pictures) for pictures in drawn.values())
    print(
        f"{len(faces)} fonts; {len(known)} known and {len(unseen)} unseen characters, {pictures:,} pictures"
    )
    print(f"done: {settings.out}")
    return 0


def read_faces(folder: Path) -> list[tuple[str, frozenset[int]]]:
    """Return path and characters of every font, families taking turns, so that the first are unlike."""
    from fontTools.ttLib import TTFont, TTLibError

    families: dict[str, list[tuple[str, frozenset[int]]]] = {}
    for path in sorted(p for ending in ("ttf", "otf") for p in folder.rglob(f"*.{ending}")):
        try:
            with TTFont(path, lazy=True) as font:
                held = frozenset(font.getBestCmap() or ())
        except (TTLibError, OSError):
            continue
        families.setdefault(path.stem.split("-")[0][:6], []).append((str(path), held))
    turns = (family[turn] for turn in range(99) for family in families.values() if turn < len(family))
    return [face for face in turns if len(face[1] & set(range(HIGHEST))) > 200]


def draw_all(faces: list[tuple[str, frozenset[int]]], settings: Settings) -> dict[str, list[np.ndarray]]:
    """Return the pictures of every character that is in enough fonts, each unlike those before."""
    opened = [ImageFont.truetype(path, EM) for path, _ in faces]
    drawn: dict[str, list[np.ndarray]] = {}
    taken: dict[bytes, str] = {}
    for code in range(0x21, HIGHEST):
        if unicodedata.category(chr(code))[0] not in "LNSP":
            continue
        pictures: list[np.ndarray] = []
        for font, (_, held) in zip(opened, faces, strict=True):
            picture = draw(chr(code), font) if code in held and len(pictures) < settings.most else None
            if picture is not None and not any(np.array_equal(picture, other) for other in pictures):
                pictures.append(picture)
        alike = sum(picture.tobytes() in taken for picture in pictures)
        if len(pictures) < settings.fewest or alike > len(pictures) / 4:
            continue
        name = f"U+{code:04X}"
        drawn[name] = pictures
        taken |= {picture.tobytes(): name for picture in pictures}
    return drawn


def draw(character: str, font: ImageFont.FreeTypeFont) -> np.ndarray | None:
    """Return the glyph in the middle of a picture, uint8 `[28, 28]`; None where nothing is drawn."""
    left, top, right, bottom = font.getbbox(character)
    width, height = int(right - left), int(bottom - top)
    if width < 2 or height < 2:
        return None
    image = Image.new("L", (width + 2, height + 2), 255)
    ImageDraw.Draw(image).text((1 - left, 1 - top), character, font=font, fill=0)
    if max(width, height) > LARGEST:
        factor = LARGEST / max(width, height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    place = Image.new("L", (SIDE, SIDE), 255)
    place.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    picture = np.asarray(place)
    return picture if picture.min() < 128 else None


def stacked(part: str, drawn: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of a split, named as --data npz: reads them; of no part: the whole."""
    images = np.stack([picture for pictures in drawn.values() for picture in pictures])
    labels = np.array([name for name, pictures in drawn.items() for _ in pictures])
    return {f"x_{part}" if part else "images": images, f"y_{part}" if part else "labels": labels}


def write_known(path: Path, drawn: dict[str, list[np.ndarray]]) -> None:
    """Write the known characters, the fonts of each divided."""
    first = VALIDATION + TEST
    parts = {"test": slice(0, TEST), "val": slice(TEST, first), "train": slice(first, None)}
    arrays: dict[str, np.ndarray] = {}
    for part, chosen in parts.items():
        arrays |= stacked(part, {name: pictures[chosen] for name, pictures in drawn.items()})
    write(path, arrays)


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays without pickled objects."""
    np.savez_compressed(path, allow_pickle=False, **arrays)


if __name__ == "__main__":
    guarded(main)
