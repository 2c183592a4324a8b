"""A linear model as a TFLite file, whose probabilities NumPy gives as well."""

from pathlib import Path

import numpy as np

from imgrec import files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.task import Task

LABELS = ("ant", "bee", "cat")
PREPROCESS = Preprocess(size=(8, 6), colour="rgb", resize="stretch")
TASK = Multiclass(LABELS)
WEIGHTS = np.random.default_rng(5).normal(0, 0.001, (8 * 6 * 3, 3)).astype(np.float32)


def reference(images: np.ndarray) -> np.ndarray:
    logits = images.reshape(len(images), -1).astype(np.float64) @ WEIGHTS
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def pictures(count: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *PREPROCESS.shape), np.uint8)


def converted(dtype: str, quantized: bool = False) -> bytes:
    """The linear model as a TFLite file that takes `dtype` pixels."""
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *PREPROCESS.shape), "float32" if quantized else dtype)]
    function = tf.function(lambda x: tf.reshape(tf.cast(x, "float32"), (1, -1)) @ WEIGHTS, signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[None].astype(np.float32)] for x in pictures(32))
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    return converter.convert()


def write_companions(folder: Path, preprocess: Preprocess = PREPROCESS, task: Task = TASK) -> None:
    files.write_text(folder / "preprocess.json", preprocess.to_json())
    tasks.write(folder, task)
