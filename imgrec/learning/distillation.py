"""Teaches a recogniser what finished runs say of its images, beside the labels, through the one `fit`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from imgrec import bundle, runtime
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning import teachers
from imgrec.learning.method import Method
from imgrec.learning.session import Session
from imgrec.learning.teachers import Teacher
from imgrec.learning.transfer import changing
from imgrec.losses.taught import Hint, SoftTargets
from imgrec.models import info
from imgrec.registry import lookup
from imgrec.spec import number_option
from imgrec.tasks.task import Task
from imgrec.training.phase import Phase
from imgrec.training.trials import seconds_forward

Pair = tuple[str, str]
"""Endpoints: the student's, and the teacher's that it shall follow."""


class Distilled(keras.Model):
    """A recogniser that also learns what teachers say of the batch: a `part` of `fit_phases`.

    The loss in training is (1 − α) × that of the labels + α × that of the teachers' answers + that of the
    hints; in validation it is that of the labels alone, so that it compares with that of any other model.
    Metrics see the logits alone.

    Teachers that are given look at the very images of the batch, as augmented and mixed as they are: with
    another view than the student's they teach less (Beyer et al., "Knowledge distillation: a good teacher is
    patient and consistent", 2022, arXiv 2106.05237, section 3.1). Without teachers the targets are the pair
    (targets `[B, C]`, teachers' logits float32 `[B, K, C]`).

    Args:
        model: the student, functional, from pixels to logits; its layers are shared.
        labels: the loss of its logits that it is compiled with.
        answers: the loss of its logits against the teachers'.
        alpha: α, 0…1.
        given: the teachers, in float32 whatever the student computes in.
        hints: endpoints of the student and of the one teacher.
        hint_weight: of each hint's loss.
    """

    def __init__(
        self,
        model: keras.Model,
        labels: keras.losses.Loss,
        answers: SoftTargets,
        alpha: float,
        given: Sequence[Teacher] = (),
        hints: Sequence[Pair] = (),
        hint_weight: float = 1.0,
    ) -> None:
        # In float32 images are not rounded before they reach the student, which casts them by itself.
        super().__init__(name=f"{model.name}_distilled", dtype="float32")
        self.labels, self.answers, self.alpha, self.hint_weight = labels, answers, alpha, hint_weight
        self.hint, self.given = Hint(), list(given)
        self.student = _showing(model, [own for own, _ in hints])
        with runtime.in_float32():
            self.teachers = [_showing(teacher.model, [there for _, there in hints]) for teacher in given]
        for teacher in self.teachers:
            teacher.trainable = False
        self.followers = [
            _follower(own, theirs, number)
            for number, (own, theirs) in enumerate(
                zip(self.student.outputs[1:], self.teachers[0].outputs[1:] if hints else [], strict=True)
            )
        ]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return logits `[B, C]`; in training with what is learned from beside labels, by name."""
        logits, *shown = keras.tree.flatten(self.student(inputs, training=training))
        if not training or not self.given:
            return logits
        said, seen = [], []
        for teacher, model in zip(self.given, self.teachers, strict=True):
            theirs, *seen = keras.tree.flatten(model(teacher.seen(inputs), training=False))
            said.append(ops.take(theirs, ops.array(teacher.order), axis=-1))
        pairs = [
            _follow(here, there, follower)
            for here, there, follower in zip(shown, seen, self.followers, strict=True)
        ]
        return {"logits": logits, "answers": ops.stack(said, axis=1), "hints": pairs}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss, a scalar."""
        targets, answers = _split(y)
        logits, told = (y_pred["logits"], y_pred) if isinstance(y_pred, dict) else (y_pred, {})
        answers = told.get("answers", answers)
        loss = super().compute_loss(x, targets, logits, sample_weight, training)
        if answers is None:
            return loss
        # What is added to the loss of the labels, such as penalties on kernels, keeps its weight.
        loss += self.alpha * (
            self.answers(answers, logits, sample_weight) - self.labels(targets, logits, sample_weight)
        )
        for there, here in told.get("hints", []):
            loss += self.hint_weight * self.hint(there, here)
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics of the logits."""
        logits = y_pred["logits"] if isinstance(y_pred, dict) else y_pred
        return super().compute_metrics(x, _split(y)[0], logits, sample_weight)


def _split(y: Any) -> tuple[Any, Any]:
    return (y[0], y[1]) if isinstance(y, (tuple, list)) else (y, None)


def _showing(model: keras.Model, endpoints: Sequence[str]) -> keras.Model:
    """The model, with endpoints as outputs beside its own."""
    shown = [model.get_layer(name).output for name in endpoints]
    return keras.Model(model.inputs, [model.output, *shown], name=f"{model.name}_showing")


def _follower(own: Any, theirs: Any, number: int) -> keras.Layer:
    """The regressor between two endpoints, 1 × 1 where they are maps; nothing where they are as wide.

    Raises:
        InputError: one is a map, and the other is none.
    """
    if len(own.shape) != len(theirs.shape) or (len(own.shape) == 3 and own.shape[1] != theirs.shape[1]):
        raise InputError(
            f"hint: the student's endpoint has the shape {list(own.shape[1:])}, the teacher's "
            f"{list(theirs.shape[1:])}: name endpoints of one kind, such as features"
        )
    if own.shape[-1] == theirs.shape[-1]:
        return keras.layers.Identity(name=f"hint_{number}")
    regressor = keras.layers.Dense(theirs.shape[-1], name=f"hint_{number}")
    regressor.build(own.shape)
    return regressor


def _follow(here: Any, there: Any, follower: keras.Layer) -> tuple[Any, Any]:
    """Return the teacher's features and the student's in one shape; of two maps the larger is averaged."""
    here = follower(here)
    if here.shape[1:-1] != there.shape[1:-1]:
        size = tuple(map(min, here.shape[1:3], there.shape[1:3]))
        here, there = (
            ops.adaptive_average_pool(ops.cast(x, "float32"), size, data_format="channels_last")
            for x in (here, there)
        )
    return there, here


class Distill(Method):
    """`--teacher`: what finished runs say is learned from beside the labels.

    Args:
        temperature: of the softened answers.
        alpha: share of their loss; the labels have the rest.
        hint: endpoints at which features shall follow the teacher's: a name, or several; `mine:theirs` where
            the two are called otherwise.
        hint_weight: of each hint's loss.

    Raises:
        InputError: a value out of its range.
    """

    trait = "teacher"
    conflicts: ClassVar[Mapping[str, str]] = {
        "frozen": "expected a network that learns as a whole: --freeze none",
        "mask loss": "one loss beside that of the logits, please: leave out the other",
        "embedding loss": "one loss beside that of the logits, please: leave out the other",
        "consistency": "one loss beside that of the logits, please: leave out {other}",
    }

    def __init__(
        self,
        temperature: float = 4.0,
        alpha: float = 0.9,
        hint: str | tuple[str, ...] = (),
        hint_weight: float = 1.0,
    ) -> None:
        self.temperature = number_option("temperature", temperature, 0.1, 1000)
        self.alpha = number_option("alpha", alpha, 0.0, 1.0)
        self.hint_weight = number_option("hint_weight", hint_weight, 0.0)
        self.hints = [_pair(name) for name in (hint if isinstance(hint, tuple) else (hint,))]

    def teachers(self, config: Config, task: Task) -> list[dict[str, Any]]:
        """Return the teachers, as run.json records them."""
        return [teachers.record(run) for run in teachers.read(config.loss.teacher, task)]

    def check(self, config: Config, model: keras.Model) -> None:
        """Make sure that the teachers can see what the student sees, and that the endpoints are there.

        Raises:
            InputError: they cannot, or are not.
        """
        runs = [bundle.read(path) for path in teachers.paths(config.loss.teacher)]
        if not self._kept(config, self.hints):
            for run in runs:
                teachers.check_view(run, config.data)
        if not self.hints:
            return
        if len(runs) > 1:
            raise InputError(f"hint of {len(runs)} teachers: expected one whose features are followed")
        theirs = runs[0].run["model"]["name"]
        for name, there in self.hints:
            _endpoint(model.name, name)
            _endpoint(theirs, there)
        self._part(model, keras.losses.MeanSquaredError(), "softmax", teachers.opened(runs), self.hints)

    def seconds_beside(self, config: Config) -> float:
        """Return how long teachers take for an image; asked once, that is spread over the epochs."""
        runs = [bundle.read(path) for path in teachers.paths(config.loss.teacher)]
        asked = sum(seconds_forward(teacher.model) for teacher in teachers.opened(runs))
        return (
            asked * (1 + config.augment.flip) / config.optim.epochs
            if self._kept(config, self.hints)
            else asked
        )

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the one phase."""
        return [self._phase(session, epochs, 0, "", self.hints)]

    def fine_tuning(self, session: Session, epochs: int) -> Phase:
        """Return the phase in which a variant learns from the teachers too: their answers alone, no hints."""
        after, sampling = session.config.optim.epochs, session.balance.last_sampling
        return self._phase(session, epochs, after, sampling, ())

    def _phase(
        self, session: Session, epochs: int, first_epoch: int, sampling: str, hints: Sequence[Pair]
    ) -> Phase:
        task, kept = session.task, self._kept(session.config, hints)
        runs = teachers.read(session.config.loss.teacher, task)
        stream = session.stream(epochs, first_epoch, sampling=sampling)
        if kept:
            feed = session.feed(sampling=sampling)
            held = teachers.answers(teachers.opened(runs, task), session.source, feed.augment.flip)
            places = epochs * session.steps_per_epoch, first_epoch * session.steps_per_epoch
            stream = teachers.with_answers(stream, held, feed, places, len(runs))
        with runtime.scope(session.strategy):
            given = [] if kept else teachers.opened(runs, task)
            part = self._part(session.model, session.goal.loss, task.activation, given, hints)
        return Phase(stream, session.validation(), epochs, part=part)

    def _part(
        self,
        model: keras.Model,
        labels: keras.losses.Loss,
        activation: str,
        given: Sequence[Teacher],
        hints: Sequence[Pair],
    ) -> Distilled:
        answers = SoftTargets(self.temperature, activation)
        return Distilled(model, labels, answers, self.alpha, given, hints, self.hint_weight)

    def _kept(self, config: Config, hints: Sequence[Pair]) -> bool:
        """Whether answers are kept on disk: of images that are whole, there are two views at most."""
        # Each of the hosts would compute them; and under JAX a batch must split evenly over its devices.
        here = runtime.backend() == "tensorflow" and config.run.strategy != "multiworker"
        return here and not hints and not changing(config.augment)


def _pair(name: object) -> Pair:
    own, _, theirs = str(name).partition(":")
    return own, theirs or own


def _endpoint(model: str, name: str) -> None:
    known = info(model).endpoints
    lookup(dict(zip(known, known, strict=True)), name, f"endpoint of {model} in hint=")
