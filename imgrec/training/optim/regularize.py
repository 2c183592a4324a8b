"""Penalties on the size of the kernels, for as long as a training lasts."""

import contextlib
from collections.abc import Iterator

import keras

from imgrec.config import OptimConfig
from imgrec.training.optim.optimizers import is_regular


@contextlib.contextmanager
def regularized(model: keras.Model, optim: OptimConfig) -> Iterator[None]:
    """Add `optim.l1` × Σ|w| + `optim.l2` × Σw² over the trainable kernels to the model's losses.

    Biases, normalisation and embeddings are spared. Compile within the context; afterwards the variables
    carry nothing of it, so neither does a saved model.
    """
    if not (optim.l1 or optim.l2):
        yield
        return
    kernels = [v for v in model.trainable_variables if is_regular(v)]
    before = [v.regularizer for v in kernels]
    try:
        for variable in kernels:
            variable.regularizer = keras.regularizers.L1L2(l1=optim.l1, l2=optim.l2)
        yield
    finally:
        for variable, own in zip(kernels, before, strict=True):
            variable.regularizer = own
