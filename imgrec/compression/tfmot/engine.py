"""The engine's own process: python -m imgrec.compression.tfmot.engine FOLDER

Reads the description and the job in FOLDER, and writes answers, and a TFLite file where one was asked for.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from imgrec.compression.tfmot import description, job, translate
from imgrec.compression.tfmot.file import to_int8
from imgrec.compression.tfmot.job import Answer, Data, Recipe

BATCH = 100
"""Images that are answered at a time."""
MOVES = ("Rows", "Transpose", "Split", "Slice", "Pad", "Max", "ZerosLike")
"""Kinds of `translate.Operation` that move or pick values, and need no range of their own."""


class OutputConfig(tfmot.quantization.keras.QuantizeConfig):
    """Rounds a layer's output to 8 bits where `rounds`, and nothing else."""

    def __init__(self, rounds: bool) -> None:
        self.rounds = rounds

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """None: such layers have no kernels."""
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """None."""
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Nothing to set."""

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Nothing to set."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """A moving average of the ends, as tfmot's own layers have."""
        quantizer = tfmot.quantization.keras.quantizers.MovingAverageQuantizer
        return (
            [quantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)]
            if self.rounds
            else []
        )

    def get_config(self) -> dict[str, Any]:
        """Return the argument."""
        return {"rounds": self.rounds}


class Refused(Exception):
    """What tfmot says of a model that it does not take, in one line."""


def main(folder: Path) -> None:
    """Answer the job in `folder`."""
    asked, data = job.read_job(folder)
    told = description.read(folder)
    whole = translate.build(told)
    outputs = {"float": whole.predict(data.test.astype("float32"), batch_size=BATCH, verbose=0)}
    if asked.do == "answer":
        job.write_answer(Answer(outputs=outputs), folder)
        return
    network = _network(told)
    unsupported = _unsupported(network.model)
    if asked.do == "accepts":
        stock, ours = (_refusal(network.model, asked, own) for own in (False, True))
        job.write_answer(Answer(stock, ours, unsupported, outputs), folder)
        return
    try:
        made = _made(network.model, asked, asked.own_configs)
    except Refused as refusal:
        job.write_answer(Answer(str(refusal), unsupported=unsupported, outputs=outputs), folder)
        return
    assert asked.recipe is not None
    wall, processor = time.perf_counter(), time.process_time()
    _train(made, asked.recipe, data, network.seen)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if asked.do == "cluster":
        made = tfmot.clustering.keras.strip_clustering(made)
    outputs["trained"] = made.predict(network.seen(data.test), batch_size=BATCH, verbose=0)
    calibration = network.seen(data.calibration) if asked.do == "cluster" else None
    (folder / job.FILE).write_bytes(to_int8(made, calibration, network.pixels))
    job.write_answer(Answer("", "", unsupported, outputs, wall, processor), folder)


@dataclass(frozen=True)
class Network:
    """What tfmot is given, and what it sees of an image.

    pixels: scale and offset of a pixel on its way into the model.
    """

    model: Any
    pixels: tuple[float, float]

    def seen(self, images: np.ndarray) -> np.ndarray:
        """Return what the model takes of images in 0…255."""
        return images.astype("float32") * np.float32(self.pixels[0]) + np.float32(self.pixels[1])


def _network(told: description.Description) -> Network:
    """The network without the normalisation of pixels, which tfmot does not know, where one scale does for
    all channels: then the scale of the file's input takes its place.
    """
    scale, offset = translate.normalisation(told)
    if np.ptp(scale) or np.ptp(offset):
        return Network(translate.build(told), (1.0, 0.0))
    return Network(translate.build(told, normalise=False), (float(scale[0]), float(offset[0])))


def _made(model: Any, asked: job.Job, own_configs: bool) -> Any:
    """The model that is trained.

    Raises:
        Refused: tfmot does not take it.
    """
    try:
        return _clustered(model, asked.clusters) if asked.do == "cluster" else _quantised(model, own_configs)
    except (
        ValueError,
        RuntimeError,
        AttributeError,
        TypeError,
    ) as error:  # its refusals have no class of their own
        raise Refused(" ".join(f"{error}".split())) from error


def _refusal(model: Any, asked: job.Job, own_configs: bool) -> str:
    try:
        _made(model, asked, own_configs)
    except Refused as refusal:
        return str(refusal)
    return ""


def _unsupported(model: Any) -> list[str]:
    """Classes of layers that tfmot's registry does not have, operations by their kind."""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry as registry,
    )

    known = registry.Default8BitQuantizeRegistry()
    names = {
        layer.kind if isinstance(layer, translate.Operation) else type(layer).__name__
        for layer in model.layers
        if not known.supports(layer) and not isinstance(layer, tf_keras.layers.InputLayer)
    }
    # Batch normalisation is taken where it follows a convolution, which the registry does not know.
    return sorted(names - {"BatchNormalization"})


def _quantised(model: Any, own_configs: bool) -> Any:
    keras = tfmot.quantization.keras
    custom = {"Operation": translate.Operation, "OutputConfig": OutputConfig}
    with keras.quantize_scope(custom):
        if not own_configs:
            return keras.quantize_model(model)

        def annotate(layer: Any) -> Any:
            own = isinstance(layer, (translate.Operation, tf_keras.layers.Multiply))
            if not own:
                return layer
            rounds = not (isinstance(layer, translate.Operation) and layer.kind in MOVES)
            return keras.quantize_annotate_layer(layer, OutputConfig(rounds))

        annotated = tf_keras.models.clone_model(model, clone_function=annotate)
        annotated.set_weights(model.get_weights())
        return keras.quantize_apply(keras.quantize_annotate_model(annotated))


def _clustered(model: Any, clusters: int) -> Any:
    keras = tfmot.clustering.keras
    start = keras.CentroidInitialization.KMEANS_PLUS_PLUS
    return keras.cluster_weights(model, number_of_clusters=clusters, cluster_centroids_init=start)


@tf_keras.utils.register_keras_serializable("imgrec")
class Rates(tf_keras.optimizers.schedules.LearningRateSchedule):
    """The rate of each step from a list."""

    def __init__(self, rates: list[float]) -> None:
        self.rates = rates

    def __call__(self, step: Any) -> Any:
        """Return the rate; the last one after the end."""
        return tf.gather(
            tf.constant(self.rates, tf.float32), tf.minimum(tf.cast(step, tf.int32), len(self.rates) - 1)
        )

    def get_config(self) -> dict[str, Any]:
        """Return the list."""
        return {"rates": self.rates}


def _train(model: Any, recipe: Recipe, data: Data, seen: Callable[[np.ndarray], np.ndarray]) -> None:
    """Train in place, epoch by epoch; leave the weights of the best validation epoch, as our trainer does."""
    optimizer = tf_keras.optimizers.SGD(
        Rates(recipe.rates), momentum=recipe.momentum, nesterov=True, weight_decay=recipe.weight_decay or None
    )
    spared = [variable for variable in model.trainable_variables if len(variable.shape) < 2]
    if recipe.weight_decay and spared:
        optimizer.exclude_from_weight_decay(var_list=spared)
    loss = tf_keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss)
    best, kept = -1.0, model.get_weights()
    length = len(data.train) // recipe.epochs
    for epoch in range(recipe.epochs):
        part = slice(epoch * length, (epoch + 1) * length)
        images, targets = seen(data.train[part]), data.train_targets[part]
        model.fit(images, targets, batch_size=recipe.batch, shuffle=False, verbose=0)
        answers = model.predict(seen(data.val), batch_size=BATCH, verbose=0)
        right = float((answers.argmax(1) == data.val_targets.argmax(1)).mean())
        print(f"tfmot epoch {epoch + 1}/{recipe.epochs}  val_acc {right:.4f}", flush=True)
        if right > best:
            best, kept = right, model.get_weights()
    model.set_weights(kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
