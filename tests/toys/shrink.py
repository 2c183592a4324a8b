"""A method that imgrec does not know: outputs are kept small beside the task's own loss."""

from keras import ops

from imgrec.learning.auxiliary_loss import AuxiliaryLoss
from imgrec.learning.method import Auxiliary


class Small(AuxiliaryLoss):
    def auxiliary_loss(self, y, second, training):
        return ops.mean(ops.square(second)) if training else None


class Shrink(Auxiliary):
    conflicts = {"frozen": "expected outputs that learn: --freeze none"}

    def __init__(self, weight: float = 0.01) -> None:
        self.weight = weight

    def part(self, session):
        return Small(session.model, session.model.output, self.weight, "small")
