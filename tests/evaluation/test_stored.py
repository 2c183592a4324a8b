"""Outputs kept with a run, and evaluations that are asked for by name."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.evaluation import stored
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.evaluations import EVALUATIONS, ON_REQUEST, in_order, requested
from imgrec.evaluation.language import ENGLISH, Language
from imgrec.evaluation.stored import FILE, Stored
from imgrec.tasks.multiclass import Multiclass

TASK = Multiclass(("a", "b", "c"))


def held(images: int = 5) -> Stored:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(images, 3)).astype(np.float32)
    return Stored(tuple(f"é/{i}" for i in range(images)), np.arange(images, dtype=np.int32) % 3, outputs)


def test_what_is_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    stored.write(tmp_path, {"test": held(), "val": held(2)})
    read = stored.read(tmp_path, TASK)
    assert list(read) == ["test", "val"] and read["test"].ids == held().ids
    np.testing.assert_array_equal(read["test"].outputs, held().outputs)
    np.testing.assert_array_equal(read["val"].labels, held(2).labels)
    first = (tmp_path / FILE).read_bytes()
    stored.write(tmp_path, {"test": held(), "val": held(2)})
    assert (tmp_path / FILE).read_bytes() == first
    assert stored.read(tmp_path / "older", TASK) == {}


def zipped(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    ids, labels, outputs = np.array(["x"]), np.zeros(1, np.int32), np.zeros((1, 3), np.float32)
    pickled = np.array([{"a": 1}], object)
    cases = {
        b"PK not a zip": "cannot be read",
        zipped(test_ids=ids, test_outputs=outputs): "lacks ids, labels or outputs",
        zipped(test_ids=ids, test_labels=labels, test_outputs=outputs[:, :2]): r"expected .*\(1, 3\)",
        zipped(test_ids=ids[0], test_labels=labels, test_outputs=outputs): "expected texts",
        zipped(test_ids=ids, test_labels=labels[0], test_outputs=outputs): "expected texts",
        zipped(test_ids=labels, test_labels=labels, test_outputs=outputs): "expected texts",
        zipped(test_ids=ids, test_labels=pickled, test_outputs=outputs): "cannot be read",
    }
    for data, message in cases.items():
        (tmp_path / FILE).write_bytes(data)
        with pytest.raises(InputError, match=message):
            stored.read(tmp_path, TASK)
    with zipfile.ZipFile(tmp_path / FILE, "w") as archive:
        archive.writestr("test_ids.npy", b"no array")
        archive.writestr("test_outputs.npy", zipfile.ZipFile(io.BytesIO(zipped(a=outputs))).read("a.npy"))
    with pytest.raises(InputError, match="lacks ids"):
        stored.read(tmp_path, TASK)


def test_evaluations_are_asked_for_by_name_and_stand_before_the_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def counted(given: Evaluated, images: int = 1) -> Section:
        return Section("Counted", "<p></p>", json={"counted": images})

    monkeypatch.setitem(ON_REQUEST, "counted", counted)
    more = requested("counted(images=7)")
    assert more["counted"](None).json == {"counted": 7}  # type: ignore[arg-type]
    names = list(in_order(more))
    assert names.index("counted") + 1 == names.index("exports") and len(names) == len(EVALUATIONS) + 1
    assert requested("") == {}
    for wrong, message in {
        "count": "did you mean counted",
        "counted(pictures=1)": "unknown option of evaluation counted 'pictures'",
        "counted(given=1)": "unknown option of evaluation counted 'given'",
        "counted|counted": "named twice",
        "counted(3)": "expected name=value",
    }.items():
        with pytest.raises(InputError, match=message):
            requested(wrong)


def test_a_sentence_is_its_own_key() -> None:
    other = Language("de", {"{n} images": "{n} Bilder"})
    assert other("{n} images", n=3) == "3 Bilder" and other("{braces}") == "{braces}"
    assert ENGLISH("{n} images", n=3) == "3 images"
