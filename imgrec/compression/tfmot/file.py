"""A TFLite file of a tf_keras model: int8 from quantisation-aware training, or by calibration."""

from typing import Any

import numpy as np
import tensorflow as tf

TOLERANCE = 0.01
"""How far, in steps of a pixel, the file's input may lie from the pixels that it is given."""


def to_int8(model: Any, calibration: np.ndarray | None, pixels: tuple[float, float]) -> bytes:
    """Convert with a fixed batch of one image; the file takes uint8 pixels and gives float32 logits.

    Args:
        model: of tf_keras; takes `pixel · scale + offset`.
        calibration: what it takes, float32 `[N, H, W, C]`, for ranges; None where training has set them.
        pixels: scale and offset.

    Raises:
        ValueError: the scale of the file's input is not that of the pixels.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: model(image, training=False), input_signature=[spec])
    constant = convert_variables_to_constants_v2(function.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([constant], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    if calibration is not None:
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    content = bytes(converter.convert())
    scale, zero_point = tf.lite.Interpreter(model_content=content).get_input_details()[0]["quantization"]
    # The pixel p is read as (p − zero point) · scale, and the model takes p · scale + offset.
    wrong = max(abs(255 * (scale / pixels[0] - 1)), abs(zero_point + pixels[1] / pixels[0]))
    if wrong > TOLERANCE:
        raise ValueError(
            f"the file reads pixels {wrong:.2f} steps off: scale {scale}, zero point {zero_point}"
        )
    return content
