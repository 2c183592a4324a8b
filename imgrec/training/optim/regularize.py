"""For as long as a training lasts: penalties on the size of the kernels, and sharpness-aware steps."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from imgrec.config import OptimConfig
from imgrec.training.optim.optimizers import is_regular

SMALLEST_NORM = 1e-12
ADAPTIVE_OFFSET = 0.01
"""Added to |w| by ASAM, so that weights of 0 can be moved too (the paper's η)."""


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


@contextlib.contextmanager
def sharpness_aware(model: keras.Model, optim: OptimConfig) -> Iterator[None]:
    """Let `model` take sharpness-aware steps of radius `optim.sam`; a radius of 0 changes nothing.

    The loss is whatever `model` computes as its loss. Enter before `compile`. TensorFlow only, one device.

    Source: Foret et al., "Sharpness-aware minimization", 2021 (arXiv 2010.01412), algorithm 1 with p = 2;
    `optim.sam_adaptive`: Kwon et al., "ASAM", 2021 (arXiv 2102.11600).
    """
    if not optim.sam:
        yield
        return
    step = _Step(model, optim.sam, optim.sam_adaptive)
    # On the object, whatever its class: so a second loss beside the logits' goes through it as well.
    model.train_step = step.take
    try:
        yield
    finally:
        del model.train_step
        model.train_function = None


class _Step:
    """A training step with two gradients: at the weights, and at the worst place within the radius.

    Both see one function: the second pass draws the dropout masks of the first, and leaves the batch
    statistics as the first had moved them. Metrics are the first pass's.
    """

    def __init__(self, model: keras.Model, radius: float, adaptive: bool) -> None:
        self.model, self.radius, self.adaptive = model, radius, adaptive

    def take(self, data: Any) -> Any:
        """Take a step on (x, y) or (x, y, sample weights); return the metrics."""
        model = self.model
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weighted = {id(v) for v in model.weights}
        seeds = [v for v in model.variables if id(v) not in weighted]
        drawn = [ops.copy(v) for v in seeds]
        y_pred, loss, gradients = self._gradients(x, y, sample_weight)
        batch = ops.shape(next(part for part in keras.tree.flatten(x) if part is not None))[0]
        model._loss_tracker.update_state(loss, sample_weight=batch)
        kept = [(v, ops.copy(v)) for v in model.variables if not v.trainable]
        weights = [(v, ops.copy(v)) for v in model.trainable_variables]
        for (variable, value), offset in zip(weights, self._offsets(gradients), strict=True):
            if offset is not None:
                variable.assign(value + offset)
        for variable, value in zip(seeds, drawn, strict=True):
            variable.assign(value)
        _, _, gradients = self._gradients(x, y, sample_weight)
        for variable, value in (*weights, *kept):
            variable.assign(value)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _gradients(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, list[Any]]:
        """Return outputs, loss and the gradients of the loss, scaled as the optimiser wants them."""
        import tensorflow as tf

        model = self.model
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        return y_pred, loss, tape.gradient(scaled, model.trainable_variables)

    def _offsets(self, gradients: Sequence[Any]) -> list[Any]:
        """Return how far each variable is moved; None where it has no gradient.

        ρ g / ‖g‖, or for ASAM ρ T² g / ‖T g‖ with T = |w| + η for the kernels and 1 for the rest.
        """
        scales = [
            ops.abs(v) + ADAPTIVE_OFFSET if self.adaptive and len(v.shape) >= 2 else 1.0
            for v in self.model.trainable_variables
        ]
        stretched = [None if g is None else g * s for g, s in zip(gradients, scales, strict=True)]
        squares = [ops.sum(ops.square(g)) for g in stretched if g is not None]
        length = ops.maximum(ops.sqrt(ops.sum(ops.stack(squares))), SMALLEST_NORM)
        return [
            None if g is None else self.radius * s * g / length
            for g, s in zip(stretched, scales, strict=True)
        ]
