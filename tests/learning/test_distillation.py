"""Learning from finished runs: what a teacher sees and says, the loss, and who may not teach."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sessions import session_of
from taught_by import write_teacher

from imgrec.config import Config
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.errors import InputError
from imgrec.learning import conflicts, methods, teachers
from imgrec.learning.distillation import Distill, Distilled
from imgrec.learning.session import Session
from imgrec.losses.taught import Hint, SoftTargets
from imgrec.models import build_model
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.training.fit import Phase, fit_phases

GREY = Preprocess(size=(16, 16), colour="grey")
TASK = Multiclass(("a", "b"))
RECORDED = {"name": "resnet8", "input_shape": [16, 16, 1], "num_classes": 2, "options": {"width": 12}}
SETTINGS: dict[str, Any] = {
    "model": "resnet8(width=8)",
    "crop": "none",
    "flip": True,
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "warmup_epochs": 0.5,
    "layer_decay": 1.0,
    "optimizer": "sgd",
    "patience": 0,
    "label_smoothing": 0.0,
    "freeze": "none",
}


def stripes(count: int, seed: int) -> Split:
    draw, labels = np.random.default_rng(seed), np.arange(count) % 2
    images = draw.integers(0, 120, (count, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 90
    images[labels == 1, :, ::4] += 90
    return Split(tuple(f"{seed}-{n}" for n in range(count)), labels.astype(np.int32), images=images)


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(("a", "b"), "grey", stripes(40, 0), stripes(16, 1), stripes(16, 2), "f" * 64, "stripes", 16)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs that have learned nothing, which nobody asks of them."""
    folder = tmp_path_factory.mktemp("runs")
    keras.utils.set_random_seed(1)
    one = write_teacher(folder / "one", RECORDED, TASK, GREY)
    write_teacher(folder / "turned", RECORDED, Multiclass(("b", "a")), GREY, one)
    write_teacher(folder / "stretched", RECORDED, TASK, dataclasses.replace(GREY, resize="stretch"), one)
    write_teacher(folder / "multi", RECORDED, Multilabel(("a", "b")), GREY, one)
    write_teacher(folder / "cats", RECORDED, Multiclass(("a", "cat")), GREY, one)
    colour = {**RECORDED, "name": "lenet5", "input_shape": [24, 24, 3], "options": {}}
    write_teacher(folder / "large", colour, TASK, Preprocess(size=(24, 24)))
    return folder


def session(source: Source, runs: Path, names: str = "one", **more: Any) -> Session:
    paths = ",".join(str(runs / name) for name in names.split(","))
    config = Config().replace(**{**SETTINGS, "teacher": paths, **more})
    keras.utils.set_random_seed(0)
    return session_of(config, source, GREY, build_model("resnet8", (16, 16, 1), 2, width=8))


def first_loss(made: Session, phase: Phase) -> float:
    """The loss of the phase's first batch, as the part that is fitted has it."""
    assert isinstance(phase.part, Distilled)
    phase.part.compile(optimizer="sgd", loss=made.goal.loss)
    images, targets = next(iter(phase.batches(0)))
    return float(phase.part.compute_loss(images, targets, phase.part(images, training=True)))


def test_the_loss_is_that_of_labels_answers_and_hints(source: Source, runs: Path) -> None:
    made = session(source, runs)
    [phase] = Distill(temperature=2, alpha=0.7, hint="stage2:stage1", hint_weight=0.3).phases(made, 2)
    part = phase.part
    assert isinstance(part, Distilled) and not any(t.trainable_variables for t in part.teachers)
    loss = first_loss(made, phase)
    images, targets = next(iter(phase.batches(0)))
    [run] = teachers.opened(teachers.read(str(runs / "one"), TASK), TASK)
    answers = run.model(images)
    student = keras.Model(
        made.model.inputs, [made.model.output, made.model.get_layer("stage2").output], name="s"
    )
    logits, shown = student(images, training=True)
    there = keras.Model(run.model.inputs, run.model.get_layer("stage1").output)(images)
    here = part.followers[0](shown)
    there = there.numpy().reshape(8, 8, 2, 8, 2, 12).mean(axis=(2, 4))
    expected = 0.3 * float(made.goal.loss(targets, logits))
    expected += 0.7 * float(SoftTargets(2)(answers[:, None], logits)) + 0.3 * float(Hint()(there, here))
    assert loss == pytest.approx(expected, rel=1e-4)
    # In validation it is the loss of the labels alone.
    own = part(images)
    assert float(part.compute_loss(images, targets, own)) == pytest.approx(
        float(made.goal.loss(targets, own)), rel=1e-6
    )


@pytest.mark.parametrize("names", ["one", "one,turned"])
def test_kept_answers_are_those_for_the_very_images(
    source: Source, runs: Path, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    made, method = session(source, runs, names), Distill()
    kept = first_loss(made, method.phases(made, 2)[0])
    kept_later = first_loss(made, method.fine_tuning(made, 1))
    monkeypatch.setattr(Distill, "_kept", lambda *args: False)
    assert first_loss(made, method.phases(made, 2)[0]) == pytest.approx(kept, rel=1e-5)
    assert first_loss(made, method.fine_tuning(made, 1)) == pytest.approx(kept_later, rel=1e-5)


def test_answers_are_kept_of_whole_images_alone(source: Source, runs: Path) -> None:
    for more, here in (({}, False), ({"crop": "pad"}, True), ({"mixup": 0.2}, True)):
        [phase] = Distill().phases(session(source, runs, **more), 2)
        assert isinstance(phase.part, Distilled) and bool(phase.part.teachers) is here
    ([image, (target, answers)],) = [next(iter(Distill().phases(session(source, runs), 2)[0].batches(7)))]
    assert image.shape == (8, 16, 16, 1) and target.shape == (8, 2) and answers.shape == (8, 1, 2)


def test_classes_are_matched_by_name(runs: Path, source: Source) -> None:
    [turned] = teachers.opened(teachers.read(str(runs / "turned"), TASK), TASK)
    assert turned.order == (1, 0)
    images = source.train.images[:6].astype("float32")
    [phase] = Distill().phases(session(source, runs, "turned", crop="pad"), 2)
    said = phase.part(images, training=True)["answers"]
    np.testing.assert_allclose(said[:, 0], turned.model(images).numpy()[:, ::-1], rtol=1e-5)


def test_a_teacher_sees_images_in_its_own_size_and_colour(runs: Path, source: Source) -> None:
    [large] = teachers.opened(teachers.read(str(runs / "large"), TASK), TASK)
    seen = large.seen(source.train.images[:3].astype("float32")).numpy()
    assert seen.shape == (3, 24, 24, 3) and np.ptp(seen, axis=-1).max() == 0
    ours = np.stack([Preprocess(size=(24, 24)).on_array(image) for image in source.train.images[:3]])
    assert np.abs(seen - ours).max() <= 1.5  # the one rounds to uint8
    grey = teachers.Teacher(large.model, GREY, (0, 1)).seen(np.full((1, 16, 16, 3), [10, 20, 30], "float32"))
    assert grey.numpy() == pytest.approx(0.299 * 10 + 0.587 * 20 + 0.114 * 30, rel=1e-5)
    for crop in ("none", "pad"):
        made = session(source, runs, "large", crop=crop)
        assert np.isfinite(first_loss(made, Distill().phases(made, 2)[0]))


def refused(method: Distill, made: Session) -> str:
    with pytest.raises(InputError) as caught:
        method.teachers(made.config, TASK)
        method.check(made.config, made.model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ("multi", {}, "its task is multilabel, and that of these labels multiclass"),
        ("cats", {}, "other classes: it lacks b; it knows, the data does not, cat"),
        ("none", {}, "no such run folder"),
        ("one,", {}, "no manifest.json"),
        ("one,one", {"hint": "stage1"}, "hint of 2 teachers: expected one"),
        ("one", {"hint": "stage9"}, "unknown endpoint of resnet8 in hint= 'stage9'"),
        ("one", {"hint": "features:stage1"}, "hint: the student's endpoint has the shape [32]"),
    ],
)
def test_who_cannot_teach_is_named(
    source: Source, runs: Path, names: str, options: dict[str, Any], message: str
) -> None:
    assert message in refused(Distill(**options), session(source, runs, names))


def test_another_layout_of_images_is_refused_where_the_teacher_looks_at_them(
    source: Source, runs: Path
) -> None:
    message = refused(Distill(), session(source, runs, "stretched", crop="pad"))
    assert "--resize stretch, and this training shows it those of --resize crop: name --resize str" in message
    Distill().check(session(source, runs, "stretched").config, build_model("resnet8", (16, 16, 1), 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": "backbone"}, "--teacher runs/a: expected a network that learns as a whole"),
        ({"augmix_consistency": 12.0}, "leave out --augmix-consistency 12"),
        ({"imbalance": "decoupled"}, "forgets the teacher"),
    ],
)
def test_contradictions_are_named(settings: dict[str, Any], message: str) -> None:
    config = Config().replace(teacher="runs/a", **settings)
    with pytest.raises(InputError) as caught:
        conflicts.check(config, methods.choose(config))
    assert message in str(caught.value)


@pytest.mark.parametrize("option", ["temperature=0", "alpha=1.5", "hint_weight=-1", "heat=3"])
def test_options_have_bounds(option: str) -> None:
    with pytest.raises(InputError, match=option.partition("=")[0]):
        methods.choose(Config().replace(teacher="runs/a", method=f"distill({option})"))


@pytest.mark.parametrize(
    "precision",
    ["mixed_bfloat16", *(pytest.param(p, marks=pytest.mark.slow) for p in ("float32", "mixed_float16"))],
)
def test_a_regressor_learns_beside_the_student_and_the_teacher_stays(
    source: Source, runs: Path, precision: str
) -> None:
    keras.config.set_dtype_policy(precision)
    made = session(source, runs)
    phases = Distill(hint=("stage1", "features")).phases(made, 2)
    part = phases[0].part
    assert isinstance(part, Distilled)
    before = [np.array(w) for w in part.teachers[0].get_weights()]
    regressors = [np.array(f.kernel) for f in part.followers]
    optim = dataclasses.replace(made.config.optim, epochs=2)
    fitted = fit_phases(made.model, phases, optim=optim, steps_per_epoch=made.steps_per_epoch)
    assert len(fitted.history) == 2 and np.isfinite(fitted.history[-1]["loss"])
    assert {w.dtype.name for w in map(np.asarray, part.teachers[0].get_weights())} == {"float32"}
    assert all(map(np.array_equal, before, part.teachers[0].get_weights()))
    assert all(
        not np.array_equal(a, np.array(f.kernel)) for a, f in zip(regressors, part.followers, strict=True)
    )
    assert part.teachers[0].compute_dtype == "float32"
