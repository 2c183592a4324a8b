"""Which score tells the sample's garments from what no training had: `--run saved_models/sample`.

Digits in the manner of MNIST: rendered in the fonts that come with matplotlib, and scikit-learn's handwritten
ones (8 × 8, brought to 20 × 20 and framed as MNIST's are); letters of the same fonts; noise, inverted
garments, and garments whose 16 tiles are mixed up. Which score decides is settled in
`imgrec.unknown.detector.BEST`; all but the letters were looked at while that was written.
"""

import argparse
import json
import string
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from imgrec import bundle
from imgrec.config import from_mapping
from imgrec.data.loading import load_arrays
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.separation import separation
from imgrec.runs.session import read_source
from imgrec.serving.predictor import Predictor

IMAGES = 1000


def rendered(signs: str, seed: int) -> np.ndarray:
    """Signs in white on black, sizes, places and slants by chance, uint8 `[N, 28, 28, 1]`."""
    draw = np.random.default_rng(seed)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = sorted(path for path in folder.glob("DejaVu*.ttf") if "Display" not in path.name)
    images = []
    for number in range(IMAGES):
        image = Image.new("L", (28, 28), 0)
        font = ImageFont.truetype(str(fonts[draw.integers(len(fonts))]), int(draw.integers(18, 27)))
        place = tuple(14 + draw.uniform(-2, 2, 2))
        ink = int(draw.integers(180, 256))
        ImageDraw.Draw(image).text(place, signs[number % len(signs)], font=font, fill=ink, anchor="mm")
        images.append(np.array(image.rotate(draw.uniform(-15, 15), Image.Resampling.BILINEAR)))
    return np.stack(images)[..., None]


def handwritten() -> np.ndarray:
    """Scikit-learn's 1,797 digits, uint8 `[N, 28, 28, 1]`."""
    small = (load_digits().images * 255 / 16).astype(np.uint8)
    large = [cv2.resize(image, (20, 20), interpolation=cv2.INTER_CUBIC) for image in small]
    return np.pad(np.stack(large), ((0, 0), (4, 4), (4, 4)))[..., None]


def mixed_up(images: np.ndarray, seed: int) -> np.ndarray:
    """The same with their 4 × 4 tiles in another order."""
    draw = np.random.default_rng(seed)
    tiles = images.reshape(len(images), 4, 7, 4, 7).transpose(0, 1, 3, 2, 4).reshape(len(images), 16, 7, 7)
    tiles = np.stack([each[draw.permutation(16)] for each in tiles]).reshape(len(images), 4, 4, 7, 7)
    return tiles.transpose(0, 1, 3, 2, 4).reshape(len(images), 28, 28, 1)


def main() -> None:
    """Print a line of JSON for each set and score, and one for the false alarms."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--run", type=Path, required=True)
    asked.add_argument("--file", default="", help="one of the run's files, such as qat_int8.tflite")
    given = asked.parse_args()
    whole = bundle.read(given.run)
    predictor = Predictor.load(
        given.run / "exports" / given.file if given.file else given.run, not given.file
    )
    detector = predictor.unknown
    if detector is None:
        raise SystemExit(f"{given.run}: has no unknown.npz; train it again")
    test = load_arrays(read_source(from_mapping(whole.config)).test, whole.preprocess)
    draw = np.random.default_rng(0)
    others = {
        "rendered digits": rendered(string.digits, 0),
        "handwritten digits": handwritten(),
        "letters": rendered(string.ascii_letters, 1),
        "noise": draw.integers(0, 256, (IMAGES, 28, 28, 1), dtype=np.uint8),
        "inverted": 255 - test,
        "tiles": mixed_up(test[:IMAGES], 1),
    }
    inside = predictor.seen(test)
    known = detector.values(inside)
    chosen = detector.chosen(inside)
    alarms = int(detector.alarms(detector.shares(chosen, known[chosen])).sum())
    low, high = detector.expected(len(test))
    told = {"false alarms": alarms, "of": len(test), "expected": [low, high], "score": chosen}
    print(json.dumps({**told, "interval_95": wilson_interval(alarms, len(test))}), flush=True)
    for name, images in others.items():
        prepared = np.stack([whole.preprocess.on_array(image) for image in images])
        unknown = detector.values(predictor.seen(prepared))
        for score in known:
            found = separation(known[score], unknown[score])
            detected = float(detector.alarms(detector.shares(score, unknown[score])).mean())
            row = {"images": name, "score": score, "detected": round(detected, 4)}
            row |= {key: np.round(value, 4).tolist() for key, value in found.record().items()}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
