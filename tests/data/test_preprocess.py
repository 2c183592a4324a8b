import io
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from pictures import encode, picture, with_orientation
from PIL import Image, ImageOps
from targets import one_hot

from imgrec.data.cache import Cache
from imgrec.data.decode import decode
from imgrec.data.header import read_header
from imgrec.data.loading import load_arrays
from imgrec.data.pipeline import evaluation_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.resize import stretch
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError

LIMIT = 1_000_000


def pillow(data):
    """Pillow's reading: upright, on white, RGB."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return np.asarray(image.convert("RGB")).astype(int)


CLEAR = np.dstack([picture(), picture(phase=2.0)[..., 1]])
MOVING = [Image.fromarray(picture(phase=n)) for n in range(3)]
SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
FILES = {
    **{f"jpeg q{quality} {name}{kind}":
       encode(picture(), "JPEG", quality=quality, subsampling=number, progressive=bool(kind))
       for quality in (30, 95) for name, number in SUBSAMPLINGS.items() for kind in ("", " progressive")},
    **{f"exif {o} {kind}": with_orientation(o, kind) for o in range(1, 9) for kind in ("JPEG", "PNG")},
    **{f"exif {o} grey": with_orientation(o, "JPEG", grey=True) for o in (1, 3, 6)},
    "jpeg grey": encode(picture()[..., 0], "JPEG"),
    "jpeg restart markers": encode(picture(), "JPEG", restart_marker_blocks=2),
    "png": encode(picture(), "PNG"),
    "png grey": encode(picture()[..., 1], "PNG"),
    "png 1 bit": encode(Image.fromarray(picture()[..., 1]).convert("1"), "PNG"),
    "png palette": encode(Image.fromarray(picture()).quantize(16), "PNG"),
    "png palette transparent": encode(Image.fromarray(picture()).quantize(16), "PNG", transparency=3),
    "png alpha": encode(np.dstack([picture(), picture(phase=2.0)[..., 1]]), "PNG"),
    "png grey alpha": encode(Image.merge("LA", [Image.fromarray(picture()[..., i]) for i in (0, 1)]), "PNG"),
    "png moving": encode(MOVING[0], "PNG", save_all=True, append_images=MOVING[1:]),
    "png moving, another first": encode(MOVING[0], "PNG", save_all=True, append_images=MOVING[1:],
                                        default_image=True),
    "bmp": encode(picture(), "BMP"),
    "bmp palette": encode(Image.fromarray(picture()).quantize(16), "BMP"),
    "webp": encode(picture(), "WEBP"),
    "webp lossless": encode(picture(), "WEBP", lossless=True),
    "webp alpha": encode(CLEAR, "WEBP", lossless=True, exact=True),
    "webp moving": encode(MOVING[0], "WEBP", save_all=True, append_images=MOVING[1:]),
    **{f"exif {o} {kind}": with_orientation(o, kind) for o in range(2, 9) for kind in ("WEBP", "TIFF")},
    **{f"exif {o} tiff grey": with_orientation(o, "TIFF", grey=True) for o in (3, 6)},
    "gif": encode(picture(), "GIF"),
    "gif grey": encode(picture()[..., 0], "GIF"),
    "gif interlaced": encode(Image.fromarray(picture()).quantize(64), "GIF", interlace=1),
    "gif transparent": encode(Image.fromarray(picture()).quantize(16), "GIF", transparency=3),
    "gif moving": encode(MOVING[0], "GIF", save_all=True, append_images=MOVING[1:]),
    **{f"tiff {compression}": encode(picture(), "TIFF", compression=compression)
       for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")},
    "tiff grey": encode(picture()[..., 0], "TIFF"),
    "tiff 1 bit": encode(Image.fromarray(picture()[..., 1]).convert("1"), "TIFF", compression="group4"),
    "tiff palette": encode(Image.fromarray(picture()).quantize(16), "TIFF"),
    "tiff cmyk": encode(Image.fromarray(picture()).convert("CMYK"), "TIFF"),
    "tiff alpha": encode(CLEAR, "TIFF"),
    "tiff pages": encode(MOVING[0], "TIFF", save_all=True, append_images=MOVING[1:]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_decodes_as_pillow_does(name):
    pixels = decode(FILES[name], LIMIT)
    assert pixels.dtype == np.uint8 and np.abs(pixels - pillow(FILES[name])).max() <= ("alpha" in name)


def test_cmyk_and_16_bits():
    cmyk = encode(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode(cmyk, LIMIT) - pillow(cmyk)).max() <= 1
    deep = picture()[..., 0].astype(np.uint16) * 257
    assert np.array_equal(decode(encode(deep, "PNG"), LIMIT)[..., 0], picture()[..., 0])
    deep = np.arange(0, 65536, 7, dtype=np.uint16).reshape(-1, 1)
    expected = np.round(deep.astype(float) / 257)
    assert np.array_equal(decode(encode(deep, "PNG"), LIMIT)[..., 0], expected)


def test_a_32_bit_bmp_is_not_transparent():
    blue_green_red_unused = np.dstack([picture()[..., ::-1], np.zeros((61, 83), np.uint8)])
    rows = blue_green_red_unused[::-1].tobytes()
    data = struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
    data += struct.pack("<IiiHHIIiiII", 40, 83, 61, 1, 32, 0, len(rows), 0, 0, 0, 0) + rows
    assert np.array_equal(decode(data, LIMIT), picture())


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("jpeg q")])
def test_jpeg_pixels_are_those_of_tensorflows_accurate_decoder(name):
    reference = tf.io.decode_jpeg(FILES[name], dct_method="INTEGER_ACCURATE", fancy_upscaling=True)
    assert np.array_equal(decode(FILES[name], LIMIT), reference)


@pytest.mark.parametrize("name", FILES)
def test_headers_tell_the_size_before_decoding(name):
    header = read_header(FILES[name])
    assert header.upright == decode(FILES[name], LIMIT).shape[:2]
    with pytest.raises(InputError, match="more than the 5,062 allowed"):
        decode(FILES[name], 5_062)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
def test_every_truncation_is_noticed(kind):
    data = encode(picture(), kind)
    for length in [*range(0, 60), *range(60, len(data) - 1, max(1, len(data) // 60)), len(data) - 1]:
        with pytest.raises(InputError, match="the-name"):
            decode(data[:length], LIMIT, "the-name")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
def test_random_damage_gives_a_picture_or_an_input_error(kind):
    data, rng = encode(picture(), kind), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 3):
            damaged[position] = rng.integers(0, 256)
        try:
            pixels = decode(bytes(damaged), LIMIT)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3


def test_a_thumbnail_does_not_hide_a_truncation():
    thumbnail = encode(picture(16, 16), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = encode(picture(), "JPEG")
    whole = data[:2] + segment + data[2:]
    assert np.array_equal(decode(whole, LIMIT), decode(data, LIMIT))
    with pytest.raises(InputError, match="truncated JPEG"):
        decode(whole[:-300], LIMIT)


def test_bytes_after_the_end_are_ignored():
    data = encode(picture(), "JPEG")
    assert np.array_equal(decode(data + b"\0" * 50, LIMIT), decode(data, LIMIT))


def test_png_checksums_are_compared():
    data = bytearray(encode(picture(), "PNG"))
    data[data.index(b"IDAT") + 30] ^= 1
    with pytest.raises(InputError, match="checksum in b'IDAT'"):
        decode(bytes(data), LIMIT)


SIZES = [
    ((61, 83), (20, 30)),
    ((61, 83), (200, 100)),
    ((300, 41), (32, 32)),
    ((61, 83), (61, 40)),
    ((5, 5), (1, 9)),
]


def pillow_resized(pixels, size):
    planes = [
        Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR)
        for plane in pixels.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1).astype(int)


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_resizes_as_pillow_does(before, after, channels):
    """Pillow takes the columns first and rounds between the passes too: noise shows two roundings."""
    pixels = picture(*before)[..., :channels]
    assert np.abs(stretch(pixels, after) - pillow_resized(pixels, after)).max() <= 1
    noise = np.random.default_rng(1).integers(0, 256, (*before, channels), np.uint8)
    difference = np.abs(stretch(noise, after) - pillow_resized(noise, after))
    assert difference.max() <= 2 and difference.mean() < 0.3


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_resizes_without_antialiasing_as_opencv_does(before, after):
    pixels = np.random.default_rng(1).integers(0, 256, (*before, 3), np.uint8)
    reference = cv2.resize(pixels, after[::-1], interpolation=cv2.INTER_LINEAR).astype(int)
    assert np.abs(stretch(pixels, after, antialias=False) - reference).max() <= 1


def test_resizing_is_exact_arithmetic():
    """Equal to sums in 64-bit integers, so no order of summation and no library changes a pixel."""
    from imgrec.data.resize import Axis, _filter

    pixels = np.random.default_rng(2).integers(0, 256, (500, 17, 1), np.uint8)
    starts, weights = _filter(Axis(500, 37, 0, 37), True)
    assert (weights.astype(np.int64).sum(axis=1) == 65536).all()
    support = weights.shape[1]
    sums = [
        weights[i].astype(np.int64) @ pixels[s : s + support, :, 0].astype(np.int64)
        for i, s in enumerate(starts)
    ]
    expected = (np.stack(sums) + 32768) >> 16
    assert np.array_equal(stretch(pixels, (37, 17))[..., 0], expected)


def test_a_flat_picture_stays_flat():
    for level in (0, 1, 254, 255):
        assert (stretch(np.full((301, 97, 3), level, np.uint8), (64, 50)) == level).all()


def test_crop_covers_and_keeps_the_centre():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 200
    assert (Preprocess((20, 20)).on_array(pixels)[:, 1:-1] == 200).all()
    wide = Preprocess((224, 224), crop_fraction=0.875).on_array(picture(300, 400))
    reference = Image.fromarray(picture(300, 400)).resize((341, 256), Image.Resampling.BILINEAR)
    reference = np.asarray(reference)[16:240, 58:282].astype(int)
    assert np.abs(wide - reference).max() <= 1


def test_letterbox_and_stretch():
    boxed = Preprocess((32, 32), resize="letterbox", fill=7).on_array(picture(20, 40))
    assert (boxed[:8] == 7).all() and (boxed[24:] == 7).all()
    assert np.array_equal(boxed[8:24], stretch(picture(20, 40), (16, 32)))
    assert np.array_equal(
        Preprocess((32, 32), resize="stretch").on_array(picture(20, 40)), stretch(picture(20, 40), (32, 32))
    )


@pytest.mark.parametrize("resize", ["crop", "letterbox", "stretch"])
def test_extreme_shapes_and_the_right_size(resize):
    process = Preprocess((24, 24), resize=resize)
    for shape in ((1, 1), (1, 5000), (5000, 1), (24, 1)):
        assert process.on_array(picture(*shape)).shape == (24, 24, 3)
    assert np.array_equal(process.on_array(picture(24, 24)), picture(24, 24))


def test_grey_is_pillows_luma_and_rgb_repeats():
    grey = Preprocess((61, 83), "grey").on_array(picture())
    assert np.array_equal(grey[..., 0], np.asarray(Image.fromarray(picture()).convert("L")))
    rgb = Preprocess((61, 83), "rgb").on_array(grey[..., 0])
    assert rgb.shape == (61, 83, 3) and (rgb == grey).all()


@pytest.mark.parametrize(
    "process",
    [Preprocess((48, 32)), Preprocess((40, 40), "grey", "letterbox"), Preprocess((33, 20), "rgb", "stretch"),
     Preprocess((32, 32), crop_fraction=0.875)],
)  # fmt: skip
def test_every_path_gives_equal_pixels(tmp_path, process):
    """Bytes, files and the tf.data path, over all kinds of file."""
    paths = []
    for number, data in enumerate(FILES.values()):
        paths.append(str(tmp_path / f"{number:02d}.img"))
        (tmp_path / paths[-1]).write_bytes(data)
    expected = np.stack([process.on_bytes(data) for data in FILES.values()])
    assert expected.dtype == np.uint8 and expected.shape[1:] == process.shape
    assert np.array_equal([process.on_file(path) for path in paths], expected)
    split = Split(tuple(paths), np.zeros(len(paths), np.int32), paths=tuple(paths))
    assert np.array_equal(load_arrays(split, process), expected)
    for cache in (Cache("none"), Cache("memory")):
        batches = [
            x.numpy() for x, _ in evaluation_dataset(split, process, one_hot(2), batch_size=7, cache=cache)
        ]
        assert np.array_equal(np.concatenate(batches), expected.astype(np.float32))


def test_arrays_of_another_kind_are_refused():
    for array in (
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ):
        with pytest.raises(InputError, match="expected uint8"):
            Preprocess((8, 8)).on_array(array)


def test_json_round_trip_and_its_mistakes():
    process = Preprocess((48, 32), "grey", "letterbox", crop_fraction=0.875, fill=3, max_pixels=9)
    assert Preprocess.from_json(process.to_json()) == process
    for text, message in (
        ("{", "damaged, expected JSON"),
        ("[]", "expected a mapping"),
        ('{"colour": "rgb"}', "cannot be read"),
        ('{"size": [8, 8], "wavelets": 1}', "wavelets"),
        ('{"size": [8, 8], "format": 2}', "format is 2, this version knows 1"),
        ('{"size": [8, 8], "colour": "cmyk"}', "colour is 'cmyk'"),
        ('{"size": [0, 8]}', "expected height and width"),
        ('{"size": ["a", 8]}', "expected height and width"),
        ('{"size": [8, 8], "crop_fraction": "big"}', "cannot be read"),
        ('{"size": [8, 8], "crop_fraction": 1.5}', "0 < crop_fraction ≤ 1"),
    ):
        with pytest.raises(InputError, match=message):
            Preprocess.from_json(text)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.jpg: No such file"):
        Preprocess((8, 8)).on_file(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="directory"):
        Preprocess((8, 8)).on_file(tmp_path)


def test_needs_no_tensorflow():
    code = "import sys, imgrec.data.preprocess; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
