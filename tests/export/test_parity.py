"""Figures of a file and the gate's verdict."""

from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from imgrec.artefact import Artefact, Promise
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.export import litert, parity
from imgrec.export.card import Card
from imgrec.export.encoded import Encoded
from imgrec.metrics import paired
from imgrec.metrics.intervals import exact_interval
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel


def row_of(
    images: int = 2000,
    *,
    differ: int = 20,
    lost: int = 20,
    gained: int = 10,
    name: str = "qat_int8",
    promise: Promise = Promise.SAME_ANSWERS,
) -> parity.ParityRow:
    """A row of so many images on which the file answers otherwise, is wrong alone, and is right alone."""
    right = round(0.9 * images)
    return parity.ParityRow(
        name=name,
        accuracy=(right - lost + gained) / images,
        agreement=(images - differ) / images,
        agreement_interval_95=exact_interval(images - differ, images),
        max_abs_difference=0.1,
        kilobytes=100.0,
        ms_per_image=0.5,
        float_accuracy=right / images,
        lost=paired.from_counts(lost, gained, images),
        images=images,
        promise=promise,
    )


ROW = row_of()
TASK = Multiclass(("a", "b", "c"))


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    """A file whose outputs are the first three of four pixels."""
    image = keras.Input((2, 2, 1), name="image")
    flat = keras.layers.Flatten(name="flat")(image)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(flat))
    kernel = np.zeros((4, 3), "float32")
    kernel[:3] = np.eye(3)
    model.get_layer("logits").set_weights([kernel, np.zeros(3, "float32")])
    path = litert.to_float32(model, tmp_path / "float32.tflite")
    return Artefact(path, "tflite", "none", Promise.SAME_ANSWERS)


def test_measure_counts_what_differs(artefact: Artefact) -> None:
    path = artefact.path
    images = np.zeros((4, 2, 2, 1), "uint8")
    images.reshape(4, 4)[np.arange(4), [0, 1, 2, 0]] = 100  # classes 0, 1, 2, 0
    reference = np.eye(3, dtype="float32")[[0, 1, 1, 0]] * 100
    float_logits = np.eye(3, dtype="float32")[[1, 1, 1, 1]]
    row = parity.measure(artefact, images, np.array([0, 1, 2, 2]), reference, float_logits, TASK)
    assert (row.name, row.accuracy, row.agreement, row.float_accuracy) == ("float32", 0.75, 0.75, 0.25)
    assert row.promise is Promise.SAME_ANSWERS
    assert row.agreement_interval_95 == exact_interval(3, 4)
    assert (row.lost.only_first, row.lost.only_second, row.lost.images) == (0, 2, 4)
    assert row.max_abs_difference == pytest.approx(1.0)
    assert row.kilobytes == path.stat().st_size / 1000 and row.ms_per_image > 0
    with pytest.raises(ValueError, match="as many images"):
        parity.measure(artefact, images, np.array([0]), reference, reference, TASK)


def test_multi_label_images_are_right_when_all_of_their_labels_are(artefact: Artefact) -> None:
    images = np.array([[9, 0, 0, 0], [9, 9, 0, 0], [0, 0, 0, 0]], "uint8").reshape(3, 2, 2, 1)
    labels = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]], "float32")
    reference = np.array([[1, -1, -1], [1, 1, -1], [1, -1, -1]], "float32")
    row = parity.measure(artefact, images, labels, reference, labels - 0.5, Multilabel(TASK.classes))
    assert row.accuracy == pytest.approx(2 / 3) and row.agreement == pytest.approx(2 / 3)
    assert row.float_accuracy == 1.0


@pytest.mark.parametrize(
    "row, words",
    [
        (ROW, []),
        # 97.5 % of 2,000 may be 98 % with other images, 97.3 % may not (the interval ends at 97.97 %).
        (row_of(differ=50), []),
        (row_of(differ=54), ["agrees"]),
        (row_of(differ=400, promise=Promise.SAME_ACCURACY), []),
        (row_of(differ=200, name="float32"), ["agrees"]),
        # 2.7 points below are more than one, 1.5 of 2,000 images may be one with others …
        (row_of(lost=62, gained=8, differ=70, promise=Promise.SAME_ACCURACY), ["2.70 points"]),
        (row_of(lost=40, gained=10, differ=50, promise=Promise.SAME_ACCURACY), []),
        # … and of 20,000 may not.
        (row_of(20000, differ=300, lost=400, gained=100), ["1.50 points"]),
        (row_of(differ=1000, lost=800, gained=0), ["agrees", "points"]),
        # 27 images: 98 % would differ on four of them twice in a thousand times, on two once in ten.
        (row_of(27, differ=2, lost=2, gained=0), []),
        (row_of(27, differ=4, lost=3, gained=0), ["agrees"]),
        # A quantisation that collapsed to one class, on 27 images and on 10.
        (row_of(27, differ=20, lost=18, gained=0), ["agrees", "points"]),
        (row_of(27, differ=20, lost=18, gained=1, promise=Promise.SAME_ACCURACY), ["points"]),
        (row_of(10, differ=7, lost=6, gained=0, promise=Promise.SAME_ACCURACY), ["points"]),
    ],
)
def test_the_gate_blames_what_the_images_show(row: parity.ParityRow, words: list[str]) -> None:
    failures = parity.gate([ROW, row])
    assert len(failures) == len(words)
    for failure, word in zip(failures, words, strict=True):
        assert failure.startswith(row.name) and word in failure


def test_what_too_few_images_cannot_show_is_said() -> None:
    few = [row_of(27, differ=0, lost=0, gained=0, name="float32"), row_of(27, differ=2, lost=1, gained=0)]
    assert parity.doubts(few) == (
        "27 images cannot show one point (95 % intervals): float32 agrees on 87 to 100 %; "
        "qat_int8 agrees on 76 to 99 %"
    )
    close = row_of(lost=30, gained=20, name="ptq_int8", promise=Promise.SAME_ACCURACY)
    assert parity.doubts([row_of(differ=0, lost=0, gained=0), close]) == (
        "2,000 images cannot show one point (95 % intervals): ptq_int8 accuracy 0.2 points above to 1.2 below"
    )
    assert parity.doubts([row_of(differ=2, lost=1, gained=1)]) == ""
    assert parity.doubts([row_of(27, differ=20, lost=18, gained=0)]) == "", "it failed, and that was said"


def test_a_file_as_good_as_its_model_hardly_ever_fails() -> None:
    """Drawn from a file that keeps both bounds exactly: at most one in twenty is blamed, for any number."""
    draw = np.random.default_rng(1)
    for images in (10, 27, 100, 1000):
        counts = draw.multinomial(images, [0.015, 0.005, 0.98], size=200)
        rows = [row_of(images, differ=int(a + b), lost=int(a), gained=int(b)) for a, b, _ in counts]
        assert np.mean([bool(parity.gate([row])) for row in rows]) <= 0.05


def test_table_is_aligned() -> None:
    lines = parity.table([ROW, replace(ROW, name="float32", kilobytes=12345.6)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["qat_int8", "89.50%", "99.00%", "0.1", "100", "0.50"]
    assert "12,346" in lines[2]


def test_a_file_is_given_bytes_prepared_by_its_own_description(tmp_path: Path) -> None:
    """One that says another colour, or has other names, is found out."""
    image = keras.Input((4, 4, 3), name="image")
    flat = keras.layers.Flatten(name="flat")(image)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(flat))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    outputs = model.predict(pixels.astype("float32"), verbose=0)
    labels = outputs.argmax(axis=1)
    split = Split(tuple("abcdef"), labels.astype("int32"), images=pixels)

    def row(said: Preprocess, task: Multiclass) -> parity.ParityRow:
        path = litert.to_float32(model, tmp_path / "float32.tflite", Card("net", "", task, said))
        artefact = Artefact(path, "tflite", "none", Promise.SAME_ANSWERS)
        return parity.measure(artefact, pixels, labels, outputs, outputs, TASK, Encoded(split))

    good = row(Preprocess((4, 4)), TASK)
    assert (good.pixels_differ, good.names_differ, good.agreement) == (0, False, 1.0)
    assert parity.gate([good]) == []
    (failure,) = parity.gate([row(Preprocess((4, 4), adapt="lowlight(255)"), TASK)])
    assert "prepares" in failure and "of 6 images to other pixels" in failure
    (failure,) = parity.gate([row(Preprocess((4, 4)), Multiclass(("a", "c", "b")))])
    assert failure == "float32: has other names for the classes than its model"


def test_bytes_of_files_are_the_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    file = Encoded(Split(("a",), np.zeros(1, "int32"), paths=(str(tmp_path / "a.png"),)))
    memory = Encoded(Split(("a",), np.zeros(1, "int32"), images=pixels[None]))
    assert file.bytes_of(0) == (tmp_path / "a.png").read_bytes()
    said = Preprocess((5, 7))
    assert np.array_equal(file.pixels(said)[0], pixels) and np.array_equal(memory.pixels(said)[0], pixels)
