"""Generated images and image files for the tests of this folder."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(height: int = 61, width: int = 83, phase: float = 0.0) -> np.ndarray:
    """A smooth colour image with texture, uint8 [height, width, 3]."""
    y, x = np.mgrid[:height, :width]
    planes = [
        127 + 100 * np.sin(x / 9 + c + phase) * np.cos(y / 7 + c) + (x * y + 5 * c) % 23 for c in range(3)
    ]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def encode(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(orientation: int, kind: str = "JPEG", grey: bool = False) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(picture()[..., 0] if grey else picture(), kind, exif=exif)


def write_classes(root: Path, counts: dict[str, int], suffix: str = ".png", size: int = 12) -> None:
    """Write `root/<class>/<n><suffix>`, every image different."""
    for position, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for n in range(count):
            Image.fromarray(picture(size, size + 4, phase=position * 100 + n)).save(
                folder / f"{n:03d}{suffix}"
            )
