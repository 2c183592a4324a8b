"""What a TFLite file says of itself; that saying it changes no answer; and three channels to grey's one.

Field numbers are those of TFLite's metadata_schema.fbs; MediaPipe's own generated classes read the same in
`tests/clients/test_mediapipe.py`.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types as kinds
from scipy.special import expit, softmax

from imgrec.compression import qat
from imgrec.data.decode import to_colour
from imgrec.data.preprocess import Preprocess
from imgrec.export import litert
from imgrec.export.card import Card
from imgrec.export.graph_edit import finish
from imgrec.models import build_model
from imgrec.runtimes import open_runtime
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

NAMES = ("cat", "dürer’s hare", "T-shirt/top", "犬")
SIDE = 20


class Bare(Multiclass):
    """A task whose files give outputs as they are."""

    activation: ClassVar[str] = ""


def card_for(channels: int, task: type[Task] = Multiclass, names: tuple[str, ...] = NAMES) -> Card:
    preprocess = Preprocess((SIDE, SIDE), "grey" if channels == 1 else "rgb", "letterbox")
    return Card("tiny", "tiny, trained for a test", task(names), preprocess)


def tiny(channels: int, outputs: int = len(NAMES)) -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_model("resnet8", (SIDE, SIDE, channels), outputs, width=4)


def images(channels: int, count: int = 24) -> np.ndarray:
    chance = np.random.default_rng(0)
    return chance.integers(0, 256, (count, SIDE, SIDE, channels)).astype(np.uint8)


WRITERS: dict[str, Callable[..., Path]] = {
    "float32": litert.to_float32,
    "int8": lambda model, path, card=None: litert.to_int8(
        qat.prepare(model, images(model.input_shape[-1])), path, card
    ),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, bool], Path]:
    """Files of the same model by arithmetic and channels, with a card or bare; each written once."""
    folder, found = tmp_path_factory.mktemp("files"), dict[str, Path]()

    def file(arithmetic: str, channels: int, carded: bool) -> Path:
        name = f"{arithmetic}_{channels}_{carded}.tflite"
        if name not in found:
            card = card_for(channels) if carded else None
            found[name] = WRITERS[arithmetic](tiny(channels), folder / name, card)
        return found[name]

    return file


class Table:
    """A flatbuffer's table, read by the numbers of its fields."""

    def __init__(self, data: bytes, at: int | None = None) -> None:
        place = flatbuffers.encode.Get(kinds.UOffsetTFlags.packer_type, data, 0) if at is None else at
        self._data, self._table = data, flatbuffers.table.Table(bytearray(data), place)

    def _at(self, field: int) -> int:
        offset = self._table.Offset(4 + 2 * field)
        assert offset, f"field {field} is not there"
        return int(offset)

    def text(self, field: int) -> str:
        return self._table.String(self._at(field) + self._table.Pos).decode()  # type: ignore[no-any-return]

    def number(self, field: int, kind: Any) -> int:
        return int(self._table.Get(kind, self._at(field) + self._table.Pos))

    def table(self, field: int) -> "Table":
        return Table(self._data, self._table.Indirect(self._at(field) + self._table.Pos))

    def union(self, field: int) -> "Table":
        holder = flatbuffers.table.Table(b"", 0)
        self._table.Union(holder, self._at(field))
        return Table(self._data, holder.Pos)

    def tables(self, field: int) -> list["Table"]:
        offset = self._at(field)
        start = self._table.Vector(offset)
        return [
            Table(self._data, self._table.Indirect(start + 4 * k))
            for k in range(self._table.VectorLen(offset))
        ]

    def floats(self, field: int) -> list[float]:
        vector = self._table.GetVectorAsNumpy(kinds.Float32Flags, self._at(field))
        return [float(value) for value in vector]


def graph_of(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes())


def metadata_of(path: Path) -> Table:
    model = graph_of(path)
    (place,) = (entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    content = bytes(model.buffers[place].data)
    assert content[4:8] == b"M001"
    return Table(content)


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_names_normalisation_and_labels_are_read_back(arithmetic: str, written: Any) -> None:
    root = metadata_of(written(arithmetic, 3, True))
    assert (root.text(0), root.text(1), root.text(7)) == ("tiny", "tiny, trained for a test", "1.0.0")
    (graph,) = root.tables(3)
    (taken,), (given,) = graph.tables(2), graph.tables(3)

    assert taken.text(0) == "image"
    content, image, rgb = taken.table(3), 2, 1
    assert content.number(0, kinds.Uint8Flags) == image
    assert content.union(1).number(0, kinds.Int8Flags) == rgb
    size = content.union(1).table(1)
    assert [size.number(side, kinds.Uint32Flags) for side in (0, 1)] == [SIDE, SIDE]
    (unit,) = taken.tables(4)
    normalisation = 1
    assert unit.number(0, kinds.Uint8Flags) == normalisation
    assert (unit.union(1).floats(0), unit.union(1).floats(1)) == ([0.0], [1.0])
    assert (taken.table(5).floats(0), taken.table(5).floats(1)) == ([255.0], [0.0])

    assert given.text(0) == "probability"
    assert (given.table(5).floats(0), given.table(5).floats(1)) == ([1.0], [0.0])
    (labels,) = given.tables(6)
    axis_labels = 2
    assert (labels.text(0), labels.number(2, kinds.Int8Flags)) == ("labels.txt", axis_labels)
    assert sorted(file.text(0) for file in root.tables(6)) == ["preprocess.json", "task.json"]


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_the_texts_inside_are_those_beside(arithmetic: str, written: Any) -> None:
    path, card = written(arithmetic, 3, True), card_for(3)
    with zipfile.ZipFile(path) as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == dict(card.companions) == dict(open_runtime(path).texts)
    assert found["labels.txt"].splitlines() == list(NAMES)
    assert json.loads(found["preprocess.json"])["resize"] == "letterbox"


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_input_and_output_have_names_and_types(arithmetic: str, written: Any) -> None:
    model = graph_of(written(arithmetic, 1, True))
    (graph,) = model.subgraphs
    taken, given = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (taken.name, taken.type, list(taken.shape)) == (
        b"image",
        schema.TensorType.UINT8,
        [1, SIDE, SIDE, 3],
    )
    assert (given.name, given.type, list(given.shape)) == (b"probabilities", 0, [1, len(NAMES)])
    for signature in model.signatureDefs or []:
        assert signature.inputs[0].tensorIndex == graph.inputs[0]
        assert signature.outputs[0].tensorIndex == graph.outputs[0]


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_what_is_put_in_changes_no_output(arithmetic: str, written: Any, tmp_path: Path) -> None:
    """Metadata, texts and aligned buffers around the same network: bit by bit the same."""
    bare, told = written(arithmetic, 3, False), tmp_path / "told.tflite"
    told.write_bytes(finish(bare.read_bytes(), card_for(3, Bare)))
    runtimes = [open_runtime(path) for path in (bare, told)]
    assert [runtime.scored for runtime in runtimes] == [False, False]
    before, after = (runtime.answer(images(3)) for runtime in runtimes)
    assert np.array_equal(before, after)


@pytest.mark.parametrize("arithmetic", WRITERS)
@pytest.mark.parametrize(("task", "last"), [(Multiclass, softmax), (Multilabel, expit)])
def test_the_last_step_is_the_tasks_in_float32(
    arithmetic: str, task: type[Task], last: Any, written: Any, tmp_path: Path
) -> None:
    """On the bare file's own logits: an int8 file tells classes apart as finely as a float one."""
    bare, told = written(arithmetic, 3, False), tmp_path / "told.tflite"
    told.write_bytes(finish(bare.read_bytes(), card_for(3, task)))
    logits, runtime = open_runtime(bare).answer(images(3)), open_runtime(told)
    scores = runtime.answer(images(3))
    expected = last(logits, axis=1) if last is softmax else last(logits)
    assert runtime.scored and scores.dtype == np.float32
    assert np.abs(scores - expected).max() < 1e-6
    assert np.abs(runtime.scores_of(scores, task(NAMES)) - task(NAMES).scores(logits)).max() < 1e-6


def test_a_softmax_that_is_there_already_is_listed_once(tmp_path: Path) -> None:
    model = build_model("vit_small_image", (SIDE, SIDE, 3), len(NAMES))
    codes = graph_of(litert.to_float32(model, tmp_path / "v.tflite", card_for(3))).operatorCodes
    found = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in codes]
    assert found.count(schema.BuiltinOperator.SOFTMAX) == 1


def test_outputs_that_are_not_float_scores_are_refused(written: Any) -> None:
    model = graph_of(written("float32", 3, False))
    graph = model.subgraphs[0]
    graph.outputs = [int(graph.inputs[0])]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(ValueError, match="expected float32"):
        finish(bytes(builder.Output()), card_for(3))


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_equal_content_gives_equal_bytes(arithmetic: str, written: Any) -> None:
    content = written(arithmetic, 3, False).read_bytes()
    assert finish(content, card_for(3)) == finish(content, card_for(3))
    assert finish(content, None) is content


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_weights_lie_where_they_can_be_read_in_place(arithmetic: str, written: Any) -> None:
    content = written(arithmetic, 3, True).read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    held = [model.Buffers(k) for k in range(model.BuffersLength())]
    places = [b._tab.Vector(b._tab.Offset(4)) for b in held if not b.DataIsNone() and b.DataLength()]
    assert len(places) > 5 and not [place for place in places if place % 16]


@pytest.mark.parametrize("arithmetic", WRITERS)
def test_a_grey_models_file_takes_three_equal_channels_unchanged(arithmetic: str, written: Any) -> None:
    """Same answers as the file of one channel, bit by bit before the last step."""
    grey = images(1)
    logits = open_runtime(written(arithmetic, 1, False)).answer(grey)
    runtime = open_runtime(written(arithmetic, 1, True))
    assert runtime.image == (SIDE, SIDE, 3) and runtime.takes((SIDE, SIDE, 1))
    repeated = runtime.answer(np.repeat(grey, 3, axis=-1))
    assert np.array_equal(repeated, runtime.answer(grey))
    assert np.abs(repeated - softmax(logits, axis=1)).max() < 1e-6


@pytest.fixture(scope="module", params=WRITERS)
def shades(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A file that gives the grey shades it computes with, one an output."""
    image = keras.Input((SIDE, SIDE, 1), name="image")
    pixels = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="same")(image)
    model = keras.Model(image, keras.layers.Flatten(name="flat")(pixels), name="shades")
    card = card_for(1, Bare, tuple(map(str, range(SIDE * SIDE))))
    path = tmp_path_factory.mktemp("shades") / "shades.tflite"
    extremes = np.linspace(0, 255, SIDE * SIDE).reshape(1, SIDE, SIDE, 1).astype(np.uint8)
    writers = {
        "float32": lambda: litert.to_float32(model, path, card),
        "int8": lambda: litert.to_int8(qat.prepare(model, extremes), path, card),
    }
    return open_runtime(writers[request.param]())


def test_every_shade_of_grey_comes_out_as_it_went_in(shades: Any) -> None:
    grey = np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE, 1).astype(np.uint8)
    given = shades.answer(np.repeat(grey, 3, axis=-1))
    assert np.array_equal(given.round(), grey.reshape(1, -1))


def test_colours_become_the_shade_of_preprocessing_or_the_next(shades: Any) -> None:
    colours = images(3)
    expected = np.stack([to_colour(image, "grey") for image in colours]).reshape(len(colours), -1)
    away = np.abs(shades.answer(colours).round() - expected)
    assert away.max() <= 1 and away.mean() < 0.1
