"""WebP, GIF and TIFF beside JPEG, PNG and BMP: against Pillow, and in forms that no encoder writes."""

import struct

import cv2
import numpy as np
import pytest
from defects import chunk
from pictures import encode, picture
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiffs import tiff_of, with_value

from imgrec.data.decode import decode
from imgrec.data.header import ImageFault, read_header
from imgrec.errors import InputError

LIMIT = 1_000_000


def os2_bitmap() -> bytes:
    """A BMP of two by two pixels with OS/2's short header and palette."""
    body = bytes(range(256)) * 3 + bytes([0, 1, 0, 0, 2, 3, 0, 0])
    return struct.pack("<2sIHHIIHHHH", b"BM", 26 + len(body), 0, 0, 26 + 768, 12, 2, 2, 1, 8) + body


@pytest.mark.parametrize("order", "<>")
def test_tiffs_of_every_kind_of_alpha_and_depth(order):
    colour, alpha = picture(), picture(phase=2.0)[..., 1]
    share = alpha[..., np.newaxis].astype(int)
    on_white = (colour * share + 255 * (255 - share) + 127) // 255
    multiplied = ((colour * share + 127) // 255).astype(np.uint8)
    for kind, scale in ((np.uint8, 1), (np.uint16, 257)):
        straight, ready = (
            np.dstack([pixels, alpha]).astype(kind) * kind(scale) for pixels in (colour, multiplied)
        )
        cases = [
            (straight, 2, on_white),
            (straight, None, on_white),
            (straight, 0, colour),
            (ready, 1, on_white),
        ]
        for pixels, extra, expected in cases:
            off = np.abs(decode(tiff_of(pixels, 2, extra, order), LIMIT).astype(int) - expected)
            assert off.max() <= 1, (kind, extra)
        grey = colour[..., 0].astype(kind) * kind(scale)
        assert np.array_equal(decode(tiff_of(grey, 1, order=order), LIMIT)[..., 0], colour[..., 0])
        assert np.array_equal(decode(tiff_of(grey, 0, order=order), LIMIT)[..., 0], 255 - colour[..., 0])
    two = np.dstack([colour[..., 0], alpha])
    assert np.array_equal(decode(tiff_of(two, 1, 2, order), LIMIT)[..., 0], colour[..., 0])


@pytest.mark.parametrize("order", "<>")
def test_16_bits_are_scaled_to_the_nearest_of_8(order):
    deep = np.arange(0, 65536, 7, dtype=np.uint16).reshape(-1, 1)
    expected = np.round(deep.astype(float) * 255 / 65535)
    assert np.array_equal(decode(tiff_of(deep, 1, order=order), LIMIT)[..., 0], expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tiff_of(picture(), 8), "3 × 8 bits, photometric interpretation 8, is not read"),
        (tiff_of(picture()[..., :2], 2), "2 × 8 bits"),
        (
            with_value(with_value(tiff_of(picture()[..., 0], 3), 258, 1), 259, 1),
            "1 × 1 bits, photometric interpretation 3, is not read",
        ),
        (with_value(tiff_of(picture()[..., 0], 1), 258, 4), "1 × 4 bits"),
        (with_value(tiff_of(picture()[..., 0], 1), 259, 6), "compression 6 is not read"),
        (with_value(tiff_of(picture()[..., 0], 1), 262, 1, renamed=254), "begins with a thumbnail"),
        (tiff_of(np.dstack([picture(), picture()]), 2), "6 × 8 bits"),
        (os2_bitmap(), "BMP of OS/2 with a palette is not read"),
    ],
)
def test_forms_that_are_not_read_are_named(data, message):
    with pytest.raises(InputError, match=message):
        decode(data, LIMIT)


def test_a_small_tiff_of_huge_tiles_is_refused():
    data = tiff_of(picture()[..., 0], 1)
    for tag, new, value in ((278, 322, 60_000), (279, 323, 60_000), (273, 324, 8), (277, 325, 8)):
        data = with_value(data, tag, value, renamed=new)
    with pytest.raises(InputError, match="tiles of 60000 × 60000 for 83 × 61 pixels"):
        decode(data, LIMIT)


def test_a_chain_of_pages_that_turns_back_ends():
    data = tiff_of(picture()[..., 0], 1)
    at = 8 + 2 + 12 * struct.unpack_from("<H", data, 8)[0]
    looped = data[:at] + struct.pack("<I", 8) + data[at + 4 :]
    assert np.array_equal(decode(looped, LIMIT), decode(data, LIMIT))


def test_an_animation_s_first_picture_keeps_its_transparency():
    """Also where the images after it have none."""
    clear = encode(Image.fromarray(picture()).quantize(16), "GIF", transparency=3)
    opaque = encode(Image.fromarray(picture(phase=2.0)).quantize(16), "GIF")
    second = opaque[opaque.index(b"\x2c\0\0\0\0") :]
    control = b"\x21\xf9\x04\0\x05\0\0\0"
    both = clear[:-1] + control + second
    assert read_header(both).traits == ("alpha", "animated")
    assert np.array_equal(decode(both, LIMIT), decode(clear, LIMIT))


def test_a_png_may_hold_long_texts_and_exif_data_behind_its_pixels():
    info = PngInfo()
    info.add_text("Comment", "x" * 2_000_000, zip=True)
    data = encode(Image.fromarray(picture()), "PNG", pnginfo=info)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:]
    assert np.array_equal(decode(data, LIMIT), picture())
    assert np.array_equal(decode(turned, LIMIT), np.rot90(picture(), -1))


def test_pillow_s_own_cap_on_pixels_is_ours_to_name():
    """A header of libwebp's largest side, and a GIF whose image reaches far out of its screen."""
    webp, gif = encode(picture(), "WEBP"), encode(picture(), "GIF")
    with pytest.raises(ImageFault, match="scale it down") as large:
        decode(webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:], LIMIT)
    at = gif.index(b"\x2c\0\0\0\0")
    with pytest.raises(ImageFault, match="replace it") as outside:
        decode(gif[: at + 1] + b"\xff" * 8 + gif[at + 9 :], LIMIT)
    assert (large.value.code, outside.value.code) == ("too_large", "damaged")


def test_what_a_gif_leaves_free_of_its_screen_has_the_screen_s_colour():
    small = encode(Image.fromarray(picture()).quantize(16), "GIF")
    wide = small[:6] + struct.pack("<H", 100) + small[8:]
    pixels = decode(wide, LIMIT)
    assert pixels.shape == (61, 100, 3) and np.array_equal(pixels[:, :83], decode(small, LIMIT))
    assert (pixels[:, 83:] == np.frombuffer(small[13 + 3 * small[11] :][:3], np.uint8)).all()


@pytest.mark.parametrize("sampling", [0x411111, 0x211111, 0x221111, 0x121111, 0x111111])
@pytest.mark.parametrize("progressive", [0, 1])
def test_a_colour_jpeg_is_decoded_once_to_rgb(sampling, progressive):
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    settings = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    data = cv2.imencode(".jpg", cv2.GaussianBlur(image, (0, 0), 2), settings)[1]
    swapped = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(decode(data.tobytes(), 10**6), swapped)
