"""TensorFlow and Keras imported without their banners."""

import os
import sys
import tempfile


def import_frameworks() -> None:
    """Import TensorFlow and Keras without the lines that TensorFlow prints of itself while it loads.

    They are shown where the import fails, and where the user set TF_CPP_MIN_LOG_LEVEL to 0.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)  # the lines come from C++, past sys.stderr
        failed = True
        try:
            import keras  # noqa: F401 - imports its backend, TensorFlow
            import tensorflow as tf

            tf.config.list_physical_devices()
            failed = False
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                said.seek(0)
                sys.stderr.buffer.write(said.read())
