"""Learning in episodes, as a network will be asked that gets a few pictures of each of a few classes.

A batch is one episode or several (`data/order/episodes.py`); of each class the first `shot` images are the
support, which is known, and the others the query, which is asked about. What an episode's answers are a
method says. The head learns by no gradient: before every look at the validation images its rows become the
class means of the training images' features, so that what is judged, and shipped, is a recogniser of all
classes by the nearest mean.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from imgrec import runtime
from imgrec.data.order import episodes
from imgrec.data.pipeline import images_of_step, training_dataset
from imgrec.data.sources.dataset import Source
from imgrec.errors import InputError
from imgrec.learning.method import Method
from imgrec.learning.session import Session
from imgrec.spec import whole_option
from imgrec.training.phase import Phase, Stream

OF_MEAN = 40
"""Images of a class that its mean is of, at most."""
SHARPNESS = 10.0
"""What cosines are multiplied by, as Chen et al., "Meta-baseline", 2021 (arXiv 2003.04390), begin with."""
HEAD = "logits"


@dataclass(frozen=True)
class Episode:
    """`way` classes, `shot` known images of each, and `query` more that are asked about."""

    way: int
    shot: int
    query: int

    @property
    def images(self) -> int:
        """Images of a class."""
        return self.shot + self.query

    def parts(self, values: Any) -> tuple[Any, Any]:
        """Divide `[T × way × images, …]` into support `[T, way, shot, …]` and query `[T, way, query, …]`."""
        values = ops.reshape(values, (-1, self.way, self.images, *values.shape[1:]))
        return values[:, :, : self.shot], values[:, :, self.shot :]

    def targets(self, tasks: Any) -> Any:
        """Return one-hot targets of the queries of `tasks` episodes, float32 `[tasks × way × query, way]`."""
        return ops.tile(ops.repeat(ops.eye(self.way, dtype="float32"), self.query, axis=0), (tasks, 1))


def closeness(query: Any, prototypes: Any, metric: str) -> Any:
    """Return how close queries are to prototypes, float32 `[T, Q, W]`: logits of a softmax.

    `euclidean`: less the squared distance, equation (2) of Snell, Swersky and Zemel, "Prototypical networks
    for few-shot learning", 2017 (arXiv 1703.05175). `cosine`: `SHARPNESS` times the cosine.

    Args:
        query: `[T, Q, D]`.
        prototypes: `[T, W, D]`.
        metric: `euclidean` or `cosine`.
    """
    query, prototypes = ops.cast(query, "float32"), ops.cast(prototypes, "float32")
    if metric == "cosine":
        query, prototypes = (ops.normalize(each, axis=-1, epsilon=1e-12) for each in (query, prototypes))
        return SHARPNESS * ops.matmul(query, ops.transpose(prototypes, (0, 2, 1)))
    products = ops.matmul(query, ops.transpose(prototypes, (0, 2, 1)))
    lengths = ops.sum(ops.square(query), -1)[:, :, None], ops.sum(ops.square(prototypes), -1)[:, None]
    return 2 * products - lengths[0] - lengths[1]


def head_of(means: np.ndarray, metric: str, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel `[D, C]` and bias `[C]` that answer by the nearest of the means `[C, D]`.

    Of squared distances what all classes share is left out: the softmax does not see it (Snell et al.,
        equation 8). Of cosines an image's own length is replaced by the mean `length`, which changes no
        answer.
    """
    if metric == "cosine":
        directions = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return SHARPNESS / max(length, 1e-12) * directions.T, np.zeros(len(means), np.float32)
    return 2 * means.T, -np.square(means).sum(1)


class Episodic(keras.Model):
    """A recogniser that is trained in episodes: a `part` of `fit_phases`.

    Args:
        model: functional, from pixels to logits, which end in the dense layer `logits`.
        episode: what the batches of training hold.
        metric: of the nearest mean that validation goes by.
        known: batches of training images and targets `[B, C]`, of which the class means are.
    """

    def __init__(self, model: keras.Model, episode: Episode, metric: str, known: Any) -> None:
        super().__init__(name=f"{model.name}_episodic", dtype="float32")
        self.recogniser, self.episode, self.metric, self.known = model, episode, metric, known
        self.head = model.get_layer(HEAD)
        self.head.trainable = False
        self.features = keras.Model(model.inputs, self.head.input, name=f"{model.name}_features")

    def answers(self, images: Any) -> Any:
        """Return the logits of the queries, `[T × way × query, way]`, in training."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return logits of all classes `[B, C]`; in training those of the episodes' queries, by name."""
        return {"queries": self.answers(inputs)} if training else self.recogniser(inputs, training=False)

    def _asked(self, y: Any, y_pred: Any) -> tuple[Any, Any]:
        if not isinstance(y_pred, dict):
            return y, y_pred
        logits = y_pred["queries"]
        return self.episode.targets(ops.shape(logits)[0] // (self.episode.way * self.episode.query)), logits

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of the queries; in validation that of all classes."""
        return super().compute_loss(x, *self._asked(y, y_pred), sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics of the queries; in validation of all classes."""
        return super().compute_metrics(x, *self._asked(y, y_pred), sample_weight)

    def evaluate(self, *args: Any, **options: Any) -> Any:
        """Give the head the class means of the features as they are now, then evaluate."""
        self.settle()
        return super().evaluate(*args, **options)

    def settle(self) -> None:
        """Make the rows of the head class means."""
        found, labels = [], []
        for images, targets in self.known:
            found.append(np.asarray(self.features.predict_on_batch(images), np.float64))
            labels.append(np.asarray(targets).argmax(1))
        features, numbers = np.concatenate(found), np.concatenate(labels)
        if self.metric == "cosine":
            features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        sums = np.zeros((self.head.units, features.shape[1]))
        np.add.at(sums, numbers, features)
        means = sums / np.maximum(np.bincount(numbers, minlength=len(sums)), 1)[:, None]
        length = float(np.mean([np.linalg.norm(part, axis=1).mean() for part in found]))
        self.head.set_weights([each.astype(np.float32) for each in head_of(means, self.metric, length)])


class FewShot(Method):
    """A method that learns in episodes.

    Args:
        way: classes of an episode.
        shot: known images of each.
        query: images of each that are asked about.

    Raises:
        InputError: a number out of its range.
    """

    conflicts: ClassVar[Mapping[str, str]] = {
        "mixing": "an episode's images are each of one class, and mixed ones are not; use no mixing",
        "imbalance": "episodes show every class as often as any; leave {other} out",
    }
    metric = "euclidean"

    def __init__(self, way: int = 5, shot: int = 1, query: int = 5) -> None:
        asked = (("way", way, 2), ("shot", shot, 1), ("query", query, 1))
        self.episode = Episode(*(whole_option(name, value, low, 1000) for name, value, low in asked))

    @abstractmethod
    def part(self, session: Session, known: Any) -> Episodic:
        """Return the model that is fitted; `known` as `Episodic` has it."""

    def check_source(self, source: Source) -> None:
        """Make sure that there are as many classes as ways, and as many images as an episode takes.

        Raises:
            InputError: there are fewer, or images have not one class each.
        """
        if source.train.kind != "class":
            raise InputError("--method: episodes are of images with one class each, and these have others")
        counts = source.train.counts(len(source.classes)).tolist()
        episodes.check(counts, source.classes, self.episode.way, self.episode.images)

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the one phase.

        Raises:
            InputError: several devices.
        """
        if session.strategy is not None:
            raise InputError("--method: an episode is not divided over devices; expected --strategy none")
        source = session.source
        with runtime.scope(session.strategy):
            part = self.part(session, session.evaluation(source.train.take(_spread(source.train.labels))))
        return [Phase(self._stream(session, epochs), session.validation(), epochs, part=part)]

    def _stream(self, session: Session, epochs: int) -> Stream:
        """Return batches of as many episodes as come nearest to --batch-size, one or more."""
        episode, split = self.episode, session.source.train
        feed = session.feed(sampling=episodes.sampling_of(episode.way, episode.images))
        each = episode.way * episode.images
        feed = replace(feed, batch_size=each * max(1, round(session.batch_size / each)))
        shown = feed.order(split.labels).size
        feed = replace(feed, batch_size=min(feed.batch_size, shown))
        steps = epochs * session.steps_per_epoch

        def batches(done: int) -> tf.data.Dataset:
            return training_dataset(split, feed, start_step=done, steps=steps - done)

        def images(step: int) -> Sequence[str]:
            return images_of_step(split, feed, step)

        return Stream(batches, images)


def _spread(labels: np.ndarray) -> np.ndarray:
    """Return the first `OF_MEAN` images of each class, in their order."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(order[rank < OF_MEAN])
