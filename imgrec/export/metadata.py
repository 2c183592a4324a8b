"""TFLite metadata: what MediaPipe and other clients read from a file, as a flatbuffer and a zip.

The tables and their field numbers are those of TFLite's metadata_schema.fbs, version 1.5.0 (Apache-2.0,
`tensorflow/lite-support`). The writer that its authors publish needs a library of C++ that has no wheel for
today's Python, so the few tables that an image classifier has are written field by field.
"""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence

import flatbuffers

from imgrec.export.card import Card
from imgrec.tasks import LABELS

_IDENTIFIER = b"M001"
_PARSER = "1.0.0"  # the oldest reader that knows all fields below
_IMAGE, _FEATURE, _NORMALISATION = 2, 1, 1  # members of the schema's unions
_RGB = 1
_AXIS_LABELS = 2


def model_metadata(card: Card) -> bytes:
    """Return the metadata flatbuffer of a classifier that takes RGB uint8 pixels as they are."""
    builder = flatbuffers.Builder(1024)
    labels = _file(builder, LABELS, "Names of the classes, in the order of the scores.", _AXIS_LABELS)
    taken = _taken(builder, card)
    given = _given(builder, card, labels)
    graph = _table(builder, 10, {2: _vector(builder, [taken]), 3: _vector(builder, [given])})
    others = [_file(builder, name, "", 0) for name in card.companions if name != LABELS]
    root = {
        0: builder.CreateString(card.name),
        1: builder.CreateString(card.description),
        3: _vector(builder, [graph]),
        6: _vector(builder, others),
        7: builder.CreateString(_PARSER),
    }
    builder.Finish(_table(builder, 8, root), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _taken(builder: flatbuffers.Builder, card: Card) -> int:
    """The image: RGB, raw pixels, which the network scales itself."""
    height, width, _ = card.preprocess.shape
    size = _table(
        builder, 2, {}, {0: (builder.PrependUint32Slot, width), 1: (builder.PrependUint32Slot, height)}
    )
    image = _table(builder, 2, {1: size}, {0: (builder.PrependInt8Slot, _RGB)})
    content = _table(builder, 3, {1: image}, {0: (builder.PrependUint8Slot, _IMAGE)})
    plain = _table(builder, 2, {0: _floats(builder, [0.0]), 1: _floats(builder, [1.0])})
    unit = _table(builder, 2, {1: plain}, {0: (builder.PrependUint8Slot, _NORMALISATION)})
    stats = _table(builder, 2, {0: _floats(builder, [255.0]), 1: _floats(builder, [0.0])})
    told = builder.CreateString("Raw pixels, 0 to 255; resized as preprocess.json says.")
    fields = {0: builder.CreateString("image"), 1: told, 3: content, 4: _vector(builder, [unit]), 5: stats}
    return _table(builder, 7, fields)


def _given(builder: flatbuffers.Builder, card: Card, labels: int) -> int:
    """The scores, with the names of their classes."""
    feature = _table(builder, 0, {})
    content = _table(builder, 3, {1: feature}, {0: (builder.PrependUint8Slot, _FEATURE)})
    stats = _table(builder, 2, {0: _floats(builder, [1.0]), 1: _floats(builder, [0.0])})
    name = builder.CreateString("probability" if card.task.activation else "outputs")
    told = builder.CreateString("One value a class, in the order of labels.txt.")
    return _table(builder, 7, {0: name, 1: told, 3: content, 5: stats, 6: _vector(builder, [labels])})


def _file(builder: flatbuffers.Builder, name: str, description: str, kind: int) -> int:
    fields = {0: builder.CreateString(name), 1: builder.CreateString(description)}
    return _table(builder, 5, fields, {2: (builder.PrependInt8Slot, kind)})


def _table(
    builder: flatbuffers.Builder,
    slots: int,
    offsets: Mapping[int, int],
    scalars: Mapping[int, tuple[Callable[[int, int, int], None], int]] | None = None,
) -> int:
    """Write a table of offsets and scalars by their field numbers; what it points to stands before."""
    builder.StartObject(slots)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, (prepend, value) in (scalars or {}).items():
        prepend(slot, value, 0)
    return int(builder.EndObject())


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def with_texts(content: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a file with texts appended as a zip, which readers of the file itself never reach.

    Stored, not compressed, as MediaPipe's reader asks, and with one date: equal files have equal bytes.
    """
    stream = io.BytesIO(content)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), text)
    return stream.getvalue()
