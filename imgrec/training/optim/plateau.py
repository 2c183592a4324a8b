"""A rate that falls when the validation loss does not."""

import math
from collections.abc import Mapping

import keras
import numpy as np

from imgrec.training.optim.optimizers import raw
from imgrec.training.optim.schedules import Plateau


class ReduceOnPlateau(keras.callbacks.Callback):
    """Lowers the rate of an optimiser with the schedule `Plateau`; all it remembers is in its `state`.

    A validation loss counts as better when it is at least the share `threshold` smaller than the best.
    """

    def __init__(self, schedule: Plateau) -> None:
        super().__init__()
        self.schedule = schedule

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Look at the epoch's validation loss."""
        shape = self.schedule.shape
        share, best, waited = (float(v) for v in keras.ops.convert_to_numpy(self.schedule.state))
        loss = float((logs or {})["val_loss"])
        if math.isinf(best) or loss < best * (1 - shape["threshold"]):
            best, waited = loss, 0.0
        else:
            waited += 1
        if waited >= shape["wait"] and share > shape["floor"]:
            share, waited = max(share * shape["factor"], shape["floor"]), 0.0
            print(
                f"no smaller validation loss for {shape['wait']:g} epochs: rate × {shape['factor']:g}, "
                f"{share:.3g} of the peak",
                flush=True,
            )
        self.schedule.state.assign(np.array([share, best, waited], "float32"))


def plateau(optimizer: keras.optimizers.Optimizer) -> list[keras.callbacks.Callback]:
    """Return the callback that an optimiser with the schedule `Plateau` needs; none for any other."""
    schedule = raw(optimizer)._learning_rate
    return [ReduceOnPlateau(schedule)] if isinstance(schedule, Plateau) else []
