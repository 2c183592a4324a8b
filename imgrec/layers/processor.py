"""Whether a layer runs on processors alone, where TensorFlow's bfloat16 kernels are uneven."""

import keras


def on_processors() -> bool:
    """Whether the backend is TensorFlow and has neither a GPU nor a TPU: asked while a layer is traced."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())
