"""What a run exports: the variants and formats of the tables, one of one's own among them, each measured."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from sessions import session_of

from imgrec import runtimes
from imgrec.artefact import Promise
from imgrec.compression import variants
from imgrec.compression.variants import Variant
from imgrec.config import Config, OptimConfig
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.export import formats
from imgrec.export.card import Card
from imgrec.export.formats import Format
from imgrec.learning.session import Session
from imgrec.models import build_model
from imgrec.runs.exporting import Exported, export
from imgrec.runtimes import Runtime

SIZE = 28


@pytest.fixture
def session() -> Session:
    """Squares, bright or dark; the model has learned nothing."""
    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 48), ("val", 16), ("test", 24)):
        labels = np.arange(count, dtype=np.int32) % 2
        images = draw.integers(0, 120, (count, SIZE, SIZE, 1)) + 120 * labels[:, None, None, None]
        ids = tuple(f"{name}-{index}" for index in range(count))
        splits[name] = Split(ids, labels, images=images.astype(np.uint8))
    source = Source(("dark", "bright"), "grey", **splits, fingerprint="0" * 64, name="squares", side=SIZE)
    config = Config().replace(quantize="none", qat_epochs=1, calibration_images=8)
    config = replace(config, optim=OptimConfig.plain(batch_size=16, epochs=1))
    model = build_model("lenet5", input_shape=(SIZE, SIZE, 1), num_classes=2)
    return session_of(config, source, Preprocess((SIZE, SIZE), colour="grey"), model)


def exported(session: Session, folder: Path) -> Exported:
    images = session.source.test.images
    assert images is not None
    return export(session, folder, session.model.predict(images.astype("float32"), verbose=0))


def asking(session: Session, quantize: str, export_to: str = "tflite") -> Session:
    # A name that is not in the table is no value of the flag, so it is put in behind its back.
    return replace(
        session,
        config=replace(
            session.config, quantize=replace(session.config.quantize, quantize=quantize, export_to=export_to)
        ),
    )


def test_every_variant_on_the_way_is_written_and_measured(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = session.model.get_weights()
    result = exported(asking(session, "qat"), tmp_path)
    rows = {row.name: row for row in result.rows}
    assert list(rows) == ["float32", "ptq_int8", "qat_int8"] and result.images == 24
    assert [row.promise for row in result.rows] == [
        Promise.SAME_ANSWERS,
        Promise.SAME_ACCURACY,
        Promise.SAME_ANSWERS,
    ]
    assert sorted(file.name for file in (tmp_path / "exports").iterdir()) == [f"{n}.tflite" for n in rows]
    assert rows["float32"].max_abs_difference < 1e-4 and rows["float32"].agreement == 1.0
    assert rows["qat_int8"].kilobytes < rows["float32"].kilobytes / 2
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if line.startswith("exporting ") or "fine-tuning" in line]
    assert said == [
        "exporting float32.tflite",
        "exporting ptq_int8.tflite",
        "quantisation-aware fine-tuning, 1 epochs",
        "exporting qat_int8.tflite",
    ]
    assert (tmp_path / "history_qat.csv").is_file()
    assert all(np.array_equal(a, b) for a, b in zip(session.model.get_weights(), before, strict=True))
    assert (tmp_path / "exports" / "ptq_int8.tflite").read_bytes() != (
        tmp_path / "exports" / "qat_int8.tflite"
    ).read_bytes(), "fine-tuning moved the weights"


def test_a_variant_of_one_s_own_is_judged_by_its_promise(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []

    def swapped(model: keras.Model, calibration: np.ndarray) -> keras.Model:
        """The same model with its two classes exchanged."""
        seen.append(calibration.shape)
        other = keras.models.clone_model(model)
        other.set_weights([*model.get_weights()[:-2], *(w[..., ::-1] for w in model.get_weights()[-2:])])
        return other

    def result(promise: Promise) -> Exported:
        toy = Variant("swapped", "swapped", "float32", promise, "none", convert=swapped)
        monkeypatch.setitem(variants.VARIANTS, "swapped", toy)
        return exported(asking(session, "swapped"), tmp_path)

    # Its file answers as the model that it was made from, so that this promise is kept …
    own = result(Promise.SAME_ANSWERS)
    assert [row.name for row in own.rows] == ["float32", "swapped"] and seen == [(8, SIZE, SIZE, 1)]
    assert own.rows[1].agreement == 1.0
    # … and against the trained model's answers it is never right: here that promise is not asked for.
    other = result(Promise.SAME_ACCURACY)
    assert other.rows[1].agreement == 0.0
    assert not any("agrees with" in failure for failure in (*own.failures, *other.failures))


def test_a_format_of_one_s_own_is_written_run_and_measured(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(model: keras.Model, path: Path, card: Card) -> Path:
        model.save(path)
        return path

    def opened(path: Path, num_threads: int | None = None) -> Runtime:
        return replace(runtimes.of_model(keras.saving.load_model(path)), name=str(path))

    monkeypatch.setitem(formats.FORMATS, "keras", Format(".keras", {"float32": write}))
    monkeypatch.setitem(runtimes.RUNTIMES, ".keras", opened)
    result = exported(asking(session, "ptq", "tflite,keras"), tmp_path)
    files = sorted(file.name for file in (tmp_path / "exports").iterdir())
    assert files == ["float32.keras", "float32.tflite", "ptq_int8.tflite"], "the toy takes no int8"
    assert [row.name for row in result.rows] == ["float32", "float32.keras", "ptq_int8"]
    assert result.rows[1].agreement == 1.0 and result.rows[1].max_abs_difference < 1e-5


def outlier() -> keras.Model:
    """Right on every square, by a value beside which another is 3,000 times as large: int8 sees but that."""
    image = keras.Input((SIZE, SIZE, 1), name="image")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(image)
    model = keras.Model(
        image, keras.layers.Dense(2, name="logits")(keras.layers.Dense(2, name="features")(mean))
    )
    weights = [[[1, 3000]], [0, 0], [[-1, 1], [0, 0]], [120, -120]]
    model.set_weights([np.array(weight, "float32") for weight in weights])
    return model


def test_a_post_training_file_that_fails_the_gate_is_made_in_a_milder_way(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = replace(asking(session, "ptq"), model=outlier())
    result = exported(session, tmp_path)
    rows = {row.name: row for row in result.rows}
    assert not result.failures and rows["ptq_int8"].accuracy == 1.0 and rows["ptq_int8"].agreement == 1.0
    assert rows["ptq_int8"].note == (
        "left in float32: logits, features; with all in int8 its accuracy was 50.00%"
    )
    assert "ptq_int8 fails the gate; trying: left in float32: logits" in capsys.readouterr().out
    assert {file.name for file in (tmp_path / "exports").iterdir()} == {"float32.tflite", "ptq_int8.tflite"}
    assert any("ptq_int8: left in float32: logits" in line for line in result.lines())

    images = session.source.test.images
    assert images is not None
    outputs = session.model.predict(images.astype("float32"), verbose=0)
    plain = export(session, tmp_path / "plain", outputs, milder=False)
    assert len(plain.failures) == 1 and "50.00 points below" in plain.failures[0]
    worst = min(plain.rows[1].layers, key=lambda layer: layer["own_db"])
    assert worst["name"] == "logits" and worst["own_db"] < 3


@pytest.mark.parametrize("quantize", ["float16", "dynamic", "ptq_litert"])
def test_files_made_smaller_after_training_ship_as_all_others(
    quantize: str, session: Session, tmp_path: Path
) -> None:
    row = exported(asking(session, quantize), tmp_path).rows[1]
    assert row.agreement == 1.0 and row.pixels_differ == 0 and not row.names_differ
    assert row.inventory is not None and row.layers and row.accuracy_interval_95[0] < row.accuracy
    file = runtimes.open_tflite(tmp_path / "exports" / f"{row.name}.tflite")
    assert file.scored and file.image == (SIZE, SIZE, 3)
    assert sorted(file.texts) == ["labels.txt", "preprocess.json", "task.json"]
