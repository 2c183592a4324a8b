"""How many processors this process may use, and whether it computes on them alone."""

import os
from pathlib import Path


def cores() -> int:
    """Return the number of processors, at least 1; those that an affinity mask or `taskset` leaves."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_processors() -> bool:
    """Whether the backend is TensorFlow and has neither a GPU nor a TPU: asked while a layer is traced.

    There TensorFlow's bfloat16 kernels are uneven.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())


def has_vnni() -> bool:
    """Whether the processor multiplies uint8 by int8 without overflow on the way; False where unknown.

    Asked of Linux; elsewhere nobody is asked.
    """
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
