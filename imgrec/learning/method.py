"""A way to learn: what its batches hold, the phases of its training, and what it does not go with."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import keras

from imgrec import runtime
from imgrec.config import Config
from imgrec.data.sources.dataset import Source
from imgrec.learning.session import Session
from imgrec.learning.traits import TRAITS
from imgrec.tasks.task import Task
from imgrec.training.phase import Phase


class Method(ABC):
    """One way to learn, an entry of `learning.methods.METHODS`.

    Attributes:
        trait: the entry of `learning.traits.TRAITS` that asks for it; empty where --method alone does.
        needs: what a batch holds beside images and targets, as `data.pipeline.Feed.needs`.
        conflicts: settings that it does not go with, by the names of `TRAITS`, and what
            to say of them; `{other}` stands for the other setting as the user gave it.
    """

    trait: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    conflicts: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def asked(cls, config: Config) -> str:
        """Return the setting that asks for this method, as the user gave it; empty where none does."""
        return TRAITS[cls.trait](config) if cls.trait else ""

    def check(self, config: Config, model: keras.Model) -> None:
        """Make sure before training that the method's settings can be followed, and by this model.

        Raises:
            InputError: they cannot.
        """
        return None

    def check_source(self, source: Source) -> None:
        """Make sure before training that the data are such as the method can learn from.

        Raises:
            InputError: they are not.
        """
        return None

    def teachers(self, config: Config, task: Task) -> list[dict[str, Any]]:
        """Return the finished runs that are learned from, as run.json records them.

        Each has `path`, `fingerprint` (a run that goes on insists on the same), and `data`, the fingerprint
        of what it learned from.

        Raises:
            InputError: one that cannot be learned from.
        """
        return []

    @abstractmethod
    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return what is trained on what, for the first `epochs` epochs of a training."""

    def seconds_beside(self, config: Config) -> float:
        """Return how many seconds an image takes in an epoch beside what the model itself does with it."""
        return 0.0

    def fine_tuning(self, session: Session, epochs: int) -> Phase:
        """Return the phase in which a variant of the trained model, the session's, learns a little longer.

        Its images are those of the `epochs` epochs after the training's last.
        """
        after = session.config.optim.epochs
        stream = session.stream(epochs, first_epoch=after, sampling=session.balance.last_sampling)
        return Phase(stream, session.validation(), epochs)


class Supervised(Method):
    """Learning from the labels alone: every layer from the first step on, the session's images and loss."""

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the one phase."""
        return [Phase(session.stream(epochs), session.validation(), epochs)]


class Auxiliary(Method):
    """A method that trains the whole model in one phase, with something taught beside the task."""

    @abstractmethod
    def part(self, session: Session) -> keras.Model:
        """Return the model that is fitted in place of the session's, with which it shares its layers."""

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the one phase."""
        with runtime.scope(session.strategy):
            part = self.part(session)
        stream = session.stream(epochs, needs=self.needs)
        return [Phase(stream, session.validation(), epochs, part=part)]
