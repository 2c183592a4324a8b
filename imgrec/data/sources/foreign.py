"""Image formats that are recognised and not read, so that a message can name them."""

_BY_START = {
    b"II+\0": "a BigTIFF",
    b"MM\0+": "a BigTIFF",
    b"<svg": "an SVG",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop",
    b"\0\0\1\0": "an icon",
    b"\x76\x2f\x31\1": "an OpenEXR",
    b"#?RADIANCE": "a Radiance HDR",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"DDS ": "a DDS",
    b"qoif": "a QOI",
    b"SIMPLE  =": "a FITS",
}
_HEIF = {
    b"avif": "an AVIF",
    b"avis": "an animated AVIF",
    b"heic": "a HEIF",
    b"heix": "a HEIF",
    b"mif1": "a HEIF",
}


def describe(data: bytes) -> str | None:
    """Return what kind of image file the bytes are, such as `an animated AVIF`, or None."""
    if data[4:8] == b"ftyp":
        return _HEIF.get(data[8:12], "a HEIF, AVIF or video")
    if data[128:132] == b"DICM":
        return "a DICOM"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "a PNM"
    return next((words for start, words in _BY_START.items() if data.startswith(start)), None)
