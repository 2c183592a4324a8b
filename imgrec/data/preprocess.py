"""From an image to the model's input, described by data: `preprocess.json`.

Training, evaluation, calibration, export, prediction and serving all run this one description with
this one code, which needs OpenCV and NumPy only. Inside `tf.data` the same code runs as a NumPy
function (`pipeline.py`), so equal bytes give equal pixels everywhere.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np

from imgrec.data import adapt as adaptive
from imgrec.data.decode import Bits, decode, to_colour
from imgrec.data.resize import Axis, resample, stretch
from imgrec.errors import InputError
from imgrec.guards.documents import parse

LARGEST = 1 << 26
"""Pixels of a model's input: no network takes as many."""

FILE = "preprocess.json"
"""In a run folder, beside its files and inside them."""


Box = tuple[float, float, float, float]
"""Top, left, bottom, right, in pixels; edges, so that a whole image is (0, 0, h, w)."""


@dataclass(frozen=True)
class Placed:
    """Where an image lies in the model's picture: its part `source` fills the part `target` of that."""

    source: Box
    target: Box


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes uint8 `[H, W, C]`; the steps, in this order.

    1. decode: see `decode.py`; `decoder`, `idct` and `exif_orientation` name what it does. Of 16-bit images
       `bits` are in use, as the training images had them: higher values are white.
    2. colour: `grey` (C = 1, ITU-R 601 luma) or `rgb` (C = 3, grey repeated).
    3. adapt: the line of steps that the whole image's own statistics trigger, see `adapt/`; `none` as
       long as nobody asks for them, and in descriptions written before there were any.
    4. resize to `size` (H, W), bilinear, by `resize`:
       `crop`: cover size / crop_fraction and keep the centre; `letterbox`: fit inside and fill the
       bars with `fill`; `stretch`: both sides on their own. An image of the right size is untouched.

    `max_pixels` refuses larger images before they are decoded.
    """

    size: tuple[int, int]
    colour: Literal["grey", "rgb"] = "rgb"
    resize: Literal["crop", "letterbox", "stretch"] = "crop"
    crop_fraction: float = 1.0
    fill: int = 114
    max_pixels: int = 50_000_000
    antialias: bool = True
    interpolation: Literal["bilinear"] = "bilinear"
    decoder: Literal["opencv"] = "opencv"
    idct: Literal["accurate"] = "accurate"
    exif_orientation: Literal["applied"] = "applied"
    adapt: str = "none"
    bits: Bits = 16
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, allowed = getattr(self, field.name), get_args(field.type)
            if get_origin(field.type) is Literal and value not in allowed:
                known = " or ".join(str(item) for item in allowed)
                raise InputError(f"preprocess: {field.name} is {value!r}, this version knows {known}")
        if len(self.size) != 2 or not all(isinstance(side, int) and side > 0 for side in self.size):
            raise InputError(f"preprocess: size is {self.size!r}, expected height and width of 1 or more")
        if self.size[0] * self.size[1] > LARGEST:
            raise InputError(f"preprocess: size is {self.size!r}, expected {LARGEST:,} pixels at most")
        if not isinstance(self.max_pixels, int) or self.max_pixels < 1 or not isinstance(self.fill, int):
            raise InputError("preprocess: expected whole numbers for max_pixels, from 1, and for fill")
        if not 0.0 < self.crop_fraction <= 1.0 or not 0 <= self.fill <= 255:
            raise InputError("preprocess: expected 0 < crop_fraction ≤ 1 and a fill of 0 to 255")
        if not isinstance(self.adapt, str):
            raise InputError(f"preprocess: adapt is {self.adapt!r}, expected a line such as lowlight(128)")
        adaptive.parse(self.adapt)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the result, the model's input shape."""
        return (*self.size, 1 if self.colour == "grey" else 3)

    @property
    def adapts(self) -> bool:
        """Whether there is a step that may change an image."""
        return bool(adaptive.parse(self.adapt))

    def on_bytes(self, data: bytes, name: str = "image") -> np.ndarray:
        """Decode and bring to uint8 `[H, W, C]`; `name` stands in error messages.

        Raises:
            InputError: no image file of a format that is read, a damaged one, or one with too many pixels.
        """
        return self.on_array(decode(data, self.max_pixels, name, self.bits))

    def on_file(self, path: str | Path) -> np.ndarray:
        """Read a file; as `on_bytes`.

        Raises:
            InputError: the file cannot be read, or as `on_bytes`.
        """
        return self.on_bytes(read_file(path), str(path))

    def on_array(self, pixels: np.ndarray) -> np.ndarray:
        """Bring uint8 `[h, w]`, `[h, w, 1]` or `[h, w, 3]` (RGB) to uint8 `[H, W, C]`.

        Raises:
            InputError: another dtype or shape.
        """
        return self.fit(self.whole(pixels))

    def whole(self, pixels: np.ndarray) -> np.ndarray:
        """Return the image in its own size, uint8 `[h, w, C]`, in colour and adapted; as `on_array`."""
        return self.whole_and_fired(pixels)[0]

    def whole_and_fired(self, pixels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """As `whole`, with the names of the adaptive steps that the image triggered."""
        pixels = np.asarray(pixels)
        if pixels.ndim == 2:
            pixels = pixels[..., np.newaxis]
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or not pixels.size:
            raise InputError(
                f"image array of {pixels.dtype} {list(pixels.shape)}: expected uint8 [h, w, 1] or [h, w, 3]"
            )
        return adaptive.apply(to_colour(pixels, self.colour), self.adapt)

    def fit(self, pixels: np.ndarray) -> np.ndarray:
        """Bring uint8 `[h, w, C]` to `size`, by the resize mode; colour stays."""
        height, width = pixels.shape[:2]
        if (height, width) == self.size:
            return pixels
        if self.resize == "stretch":
            return stretch(pixels, self.size, self.antialias)
        return self._cover(pixels) if self.resize == "crop" else self._letterbox(pixels)

    def placed(self, height: int, width: int) -> Placed:
        """Return which part of a decoded, upright image of this size the model sees, and where."""
        source = (0.0, 0.0, float(height), float(width))
        target = (0.0, 0.0, float(self.size[0]), float(self.size[1]))
        if (height, width) == self.size or self.resize == "stretch":
            return Placed(source, target)
        if self.resize == "letterbox":
            return Placed(source, self._fitted(height, width))
        axes = self._cut(height, width)
        low, high = (
            [(axis.first + more * axis.count) * axis.length / axis.resized for axis in axes]
            for more in (0, 1)
        )
        return Placed((low[0], low[1], high[0], high[1]), target)

    def _cover(self, pixels: np.ndarray) -> np.ndarray:
        return resample(pixels, *self._cut(*pixels.shape[:2]), self.antialias)

    def _cut(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Rows and columns of a resize that covers size / crop_fraction, and of its centre."""
        out_height, out_width = self.size
        scale = max(out_height / height, out_width / width) / self.crop_fraction
        rows, columns = (
            Axis(length, resized, (resized - out) // 2, out)
            for length, out in ((height, out_height), (width, out_width))
            for resized in (max(out, _round(length * scale)),)
        )
        return rows, columns

    def _letterbox(self, pixels: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self._fitted(*pixels.shape[:2])
        result = np.full((*self.size, pixels.shape[-1]), self.fill, np.uint8)
        result[top:bottom, left:right] = stretch(pixels, (bottom - top, right - left), self.antialias)
        return result

    def _fitted(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Where an image of this size lies between the bars: top, left, bottom, right."""
        out_height, out_width = self.size
        scale = min(out_height / height, out_width / width)
        fit_height = min(out_height, max(1, _round(height * scale)))
        fit_width = min(out_width, max(1, _round(width * scale)))
        top, left = (out_height - fit_height) // 2, (out_width - fit_width) // 2
        return top, left, top + fit_height, left + fit_width

    def to_json(self) -> str:
        """Return the description as JSON text, readable by `from_json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Preprocess":
        """Read what `to_json` wrote.

        Raises:
            InputError: no JSON, an unknown or missing field, or a value that this version cannot do.
        """
        try:
            values: dict[str, Any] = parse(text, "preprocess.json")
            values["size"] = tuple(values["size"])
            values.pop("labels", None)  # which task.json says since there are tasks
            return cls(**values)
        except InputError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"preprocess.json: cannot be read ({error}); expected what training wrote"
            ) from None


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        InputError: it does not exist, is a folder or may not be read.
    """
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _round(value: float) -> int:
    return int(value + 0.5)
