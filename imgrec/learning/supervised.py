"""Learning from the labels alone, all layers from the first step on."""

from imgrec.learning.method import Method
from imgrec.learning.session import Session
from imgrec.training.phase import Phase


class Supervised(Method):
    """One phase: every layer, the session's images, targets and loss."""

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the one phase."""
        return [Phase(session.stream(epochs), session.validation(), epochs)]
