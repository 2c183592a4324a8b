"""16-bit files that hold fewer bits, as cameras write them: neither black nor unsaid."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiffs import tiff_of

from imgrec.config import Config
from imgrec.data.audit.examine import Limits, examine
from imgrec.data.decode import decode, depth_of
from imgrec.data.loading import load_arrays
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError

LIMIT = 10_000


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.mark.parametrize(
    ("highest", "bits"),
    [(0, 16), (1, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16384, 16)],
)
def test_the_bits_in_use(highest: int, bits: int) -> None:
    assert depth_of(highest) == bits


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_values_are_scaled_to_white(bits: int) -> None:
    white = (1 << bits) - 1
    values = np.linspace(0, white, 200).astype(np.uint16).reshape(10, 20)
    expected = np.floor(values / white * 255 + 0.5)
    for data in (png(values), tiff_of(values, 1)):
        assert np.array_equal(decode(data, LIMIT, bits=bits)[..., 0], expected)
        assert np.array_equal(decode(data, LIMIT, bits=None)[..., 0], expected)
        assert decode(data, LIMIT).max() == round(white / 257) < 80  # what was trained on before
    assert np.array_equal(decode(tiff_of(values, 0), LIMIT, bits=bits)[..., 0], 255 - expected)
    colour = np.stack([values, values // 2, values // 4], axis=-1)
    expected = np.floor(colour / white * 255 + 0.5)[..., ::-1]
    assert np.array_equal(decode(png(colour), LIMIT, bits=bits), expected)


def test_higher_values_are_white_and_8_bits_stay() -> None:
    values = np.array([[0, 4095, 4096, 65535]], np.uint16)
    assert decode(png(values), LIMIT, bits=12)[..., 0].tolist() == [[0, 255, 255, 255]]
    plain = np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert np.array_equal(decode(png(plain), LIMIT, bits=12)[..., 0], plain)


def test_transparency_is_no_highest_value(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(np.full((4, 4, 4), (9, 8, 3000, 65535), np.uint16)))
    (one,) = examine([str(tmp_path / "x.png")], Limits(LIMIT, 10**6))
    assert one.facts is not None and one.facts.highest == 3000


def folder_of(root: Path, highest: int) -> Path:
    random = np.random.default_rng(4)
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(8):
            values = random.integers(highest // 2, highest + 1, (9, 9))
            values[0, 0] = highest
            (root / label / f"{number}.png").write_bytes(png(values.astype(np.uint16)))
    return root


def test_a_set_of_12_bits_is_said_recorded_and_obeyed(tmp_path: Path) -> None:
    from imgrec.runs.plan import make_plan
    from imgrec.tasks.multiclass import Multiclass

    set_of_12 = folder_of(tmp_path / "set", 4000)
    config = Config().replace(data=str(set_of_12), model="resnet8", weights="none", freeze="none")
    source = load_source(config.data, 1)
    assert source.bits == 12
    assert [note for note in source.notes if "bits" in note] == ["16-bit images hold 12 bits: scaled by 2^4"]
    preprocess = make_plan(config, source, Multiclass(source.classes)).preprocess
    assert preprocess.bits == 12 and Preprocess.from_json(preprocess.to_json()) == preprocess
    images = load_arrays(source.test, preprocess)
    assert images.min() >= 124 and images.max() == round(4000 / 4095 * 255)
    for image, path in zip(images, source.test.paths or (), strict=True):
        assert np.array_equal(preprocess.on_file(path), image)


def test_a_set_of_16_bits_is_as_before(tmp_path: Path) -> None:
    source = load_source(Config().replace(data=str(folder_of(tmp_path / "set", 60_000))).data, 1)
    assert source.bits == 16 and not any("bits" in note for note in source.notes)


def test_descriptions_from_before_have_16_bits() -> None:
    text = Preprocess((4, 4)).to_json()
    assert Preprocess.from_json(text.replace('  "bits": 16,\n', "")) == Preprocess((4, 4))
    with pytest.raises(InputError, match="bits is 11, this version knows 8 or 10 or 12 or 14 or 16"):
        Preprocess((4, 4), bits=11)  # type: ignore[arg-type]
