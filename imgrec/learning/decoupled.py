"""The backbone on the data as they are, then the classifier alone on balanced classes."""

from collections.abc import Mapping
from typing import ClassVar

import keras

from imgrec.config import Config
from imgrec.data.sources.dataset import Source
from imgrec.learning.method import Method
from imgrec.learning.session import Session
from imgrec.training.phase import Phase


class Decoupled(Method):
    """Another method's phases, and one more for the classifier.

    Source: Kang et al., 2020, arXiv 1910.09217; their classifier starts anew, ours from what it has learned.

    Args:
        first: the method that trains the backbone.
    """

    conflicts: ClassVar[Mapping[str, str]] = {
        "frozen": "trains the backbone before it holds it, and {other} holds it from the start: use "
        "--imbalance balanced",
        "mask loss": "does not go with --mask-loss: use --imbalance logit",
        "consistency": "does not go with --augmix-consistency: use --imbalance logit",
        "teacher": "its classifier learns from labels alone, and forgets the teacher: use --imbalance logit",
        "one epoch": "expected 2 epochs or more, got {other}",
    }

    def __init__(self, first: Method) -> None:
        self.first = first

    @classmethod
    def asked(cls, config: Config) -> str:
        """Return `--imbalance decoupled` where it is asked for."""
        recipe = config.loss.imbalance
        return f"--imbalance {recipe}" if recipe.partition("(")[0] == "decoupled" else ""

    def check(self, config: Config, model: keras.Model) -> None:
        """Check the first method."""
        self.first.check(config, model)

    def check_source(self, source: Source) -> None:
        """Check by the first method."""
        self.first.check_source(source)

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the first method's phases and that of the classifier: the last `share` of the epochs."""
        last = max(1, round(session.balance.options["share"] * epochs))
        phases = self.first.phases(session, epochs - last)
        batches = session.stream(last, epochs - last, sampling=session.balance.last_sampling)
        end = Phase(batches, phases[-1].validation, epochs, frozen="features", restart=True)
        return [*phases, end]
