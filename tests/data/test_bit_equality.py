"""Over 300 files of every kind: training's pixels and those of the serving path are the same, bit for bit."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures import encode, picture
from PIL import Image
from targets import feed, one_hot

from imgrec.config import AugmentConfig
from imgrec.data.cache import Cache
from imgrec.data.pipeline import evaluation_dataset, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.runtimes import Runtime
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multiclass import Multiclass

SIZES = ((1, 1), (7, 5), (32, 32), (33, 47), (64, 31), (61, 83), (96, 128), (5, 120))
PLAIN = AugmentConfig(crop="none", flip=False)


def turned(pixels: np.ndarray, orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(pixels, kind, exif=exif)


def kinds(height: int, width: int) -> Iterator[tuple[str, bytes]]:
    """A file of every kind, as (ending, bytes), of one size."""
    colour, other = picture(height, width), picture(height, width, 2.0)
    image, grey = Image.fromarray(colour), colour[..., 0]
    clear = np.dstack([colour, other[..., 1]])
    deep = grey.astype(np.uint16) * 256 + other[..., 0]
    moving = [Image.fromarray(other), image]
    for orientation in range(1, 9):
        yield ".jpg", turned(colour, orientation, "JPEG")
    for kind, suffix in (("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tif")):
        yield suffix, turned(colour, 6, kind)
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            yield ".jpg", encode(colour, "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    for mode in ("L", "CMYK"):
        for kind, suffix in (("JPEG", ".jpeg"), ("TIFF", ".tiff")):
            yield suffix, encode(image.convert(mode), kind)
    yield from ((".png", encode(pixels, "PNG")) for pixels in (colour, grey, clear, deep))
    yield ".png", encode(image.convert("LA"), "PNG")
    yield ".png", encode(image.quantize(16), "PNG", transparency=1)
    yield ".tif", encode(deep, "TIFF")
    yield ".tif", encode(clear, "TIFF", compression="tiff_lzw")
    yield from (
        (suffix, encode(image.quantize(16), kind)) for kind, suffix in (("BMP", ".bmp"), ("GIF", ".gif"))
    )
    yield ".bmp", encode(colour, "BMP")
    for lossless in (False, True):
        yield ".webp", encode(colour, "WEBP", lossless=lossless)
        yield ".webp", encode(clear, "WEBP", lossless=lossless)
    yield ".gif", encode(moving[0], "GIF", save_all=True, append_images=moving[1:])
    yield ".webp", encode(moving[0], "WEBP", save_all=True, append_images=moving[1:])


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root, found = tmp_path_factory.mktemp("corpus"), []
    for height, width in SIZES:
        for number, (suffix, data) in enumerate(kinds(height, width)):
            path = root / f"{height}x{width} 画像 {number:02d}{suffix}"
            path.write_bytes(data)
            found.append(str(path))
    return found


def served(paths: list[str], preprocess: Preprocess) -> np.ndarray:
    """What the serving path hands to its model: uint8 `[N, H, W, C]`."""
    seen = []

    def answer(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.zeros((len(images), 2), np.float32)

    runtime = Runtime("noted", preprocess.shape, (2,), answer)
    Predictor(runtime, preprocess, Multiclass(("a", "b"))).predict_files(paths)
    return np.concatenate(seen)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess((32, 32)),
        Preprocess((24, 40), "grey", "letterbox"),
        Preprocess((33, 21), "rgb", "stretch"),
        Preprocess((32, 32), crop_fraction=0.875, adapt="lowlight|dehaze"),
    ],
    ids=["crop", "letterbox, grey", "stretch", "adaptive"],
)
def test_training_evaluation_and_serving_see_equal_pixels(paths: list[str], preprocess: Preprocess) -> None:
    count = len(paths)
    assert count >= 300 and len({Path(path).read_bytes() for path in paths}) > 0.8 * count
    expected = served(paths, preprocess)
    assert expected.dtype == np.uint8 and len(np.unique(expected)) > 200
    # A class of its own each: the target says which file a shuffled image came from.
    split = Split(tuple(paths), np.arange(count, dtype=np.int32), paths=tuple(paths))
    for cache in (Cache("none"), Cache("memory", 1 << 30)):
        data = training_dataset(
            split, feed(preprocess, count, PLAIN, 1, 3, cache=cache), steps=count
        ).unbatch()
        seen = np.zeros_like(expected, np.float32)
        for image, target in data.as_numpy_iterator():
            seen[target.argmax()] = image
        assert np.array_equal(seen, expected)
        batches = evaluation_dataset(split, preprocess, one_hot(2), batch_size=50, cache=cache)
        assert np.array_equal(np.concatenate([images.numpy() for images, _ in batches]), expected)


def test_a_process_without_tensorflow_sees_the_same(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "paths.json").write_text(json.dumps(paths), encoding="utf-8")
    code = (
        "import hashlib, json, sys\n"
        "from imgrec.data.preprocess import Preprocess\n"
        "import imgrec.serving.predictor\n"
        "digest = hashlib.sha256()\n"
        f"for path in json.load(open({str(tmp_path / 'paths.json')!r}, encoding='utf-8')):\n"
        "    digest.update(Preprocess((32, 32)).on_file(path).tobytes())\n"
        "print(digest.hexdigest(), sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = hashlib.sha256(served(paths, Preprocess((32, 32))).tobytes()).hexdigest()
    assert done.stdout.strip() == f"{expected} []" and done.stderr == ""
