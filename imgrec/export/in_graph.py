"""Preprocessing inside a TensorFlow graph, for signatures that take encoded images.

As near to `data.preprocess` as TensorFlow's own operators come, and not it. JPEG has the same decoder and
inverse transform; the same triangle filter resizes, rounded to bytes once and not after each direction, so
that pixels differ by one of 255 at most where both read the same image. Not the same are: EXIF orientation,
which TensorFlow does not read; PNG's transparency, which it drops where we lay it on white; and 16 bits, of
which it takes the upper eight.
"""

from typing import Any

from imgrec.data.preprocess import Preprocess


def prepare(encoded: Any, preprocess: Preprocess) -> Any:
    """Return float32 `[H, W, C]`, whole shades 0…255, of one encoded JPEG or PNG, a string scalar."""
    import tensorflow as tf

    # Reads PNG too, and is the one operator that takes the accurate inverse transform.
    decoded = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    pixels = tf.cast(decoded, tf.float32)
    if preprocess.colour == "grey":
        # 0.299, 0.587, 0.114 in units of 2⁻¹⁶, as `data.decode.to_colour` has them.
        parts = tf.constant([19595.0, 38470.0, 7471.0]) / 65536.0
        pixels = tf.floor(tf.reduce_sum(pixels * parts, axis=-1, keepdims=True) + 0.5)
    return tf.ensure_shape(_fit(pixels, preprocess), preprocess.shape)


def _fit(pixels: Any, preprocess: Preprocess) -> Any:
    """Bring float32 `[h, w, C]` to the description's size, by its mode."""
    import tensorflow as tf

    height, width = preprocess.size
    if preprocess.resize == "stretch":
        return _resized(pixels, (height, width), preprocess.antialias)
    wanted = tf.constant([height, width], tf.float32)
    scales = wanted / tf.cast(tf.shape(pixels)[:2], tf.float32)
    if preprocess.resize == "crop":
        scale = tf.reduce_max(scales) / preprocess.crop_fraction
        covering = tf.maximum([height, width], _scaled(pixels, scale))
        whole = _resized(pixels, covering, preprocess.antialias)
        top, left = tf.unstack((covering - [height, width]) // 2)
        covered = whole[top : top + height, left : left + width]
        same = tf.reduce_all(tf.equal(tf.shape(pixels)[:2], [height, width]))
        return tf.cond(same, lambda: pixels, lambda: covered)
    fitting = tf.clip_by_value(_scaled(pixels, tf.reduce_min(scales)), 1, [height, width])
    fitted = _resized(pixels, fitting, preprocess.antialias)
    top, left = tf.unstack(([height, width] - fitting) // 2)
    below, right = height - fitting[0] - top, width - fitting[1] - left
    return tf.pad(fitted, [[top, below], [left, right], [0, 0]], constant_values=float(preprocess.fill))


def _scaled(pixels: Any, scale: Any) -> Any:
    """The image's two sides times `scale`, rounded half up, int32 `[2]`."""
    import tensorflow as tf

    return tf.cast(tf.floor(tf.cast(tf.shape(pixels)[:2], tf.float32) * scale + 0.5), tf.int32)


def _resized(pixels: Any, size: Any, antialias: bool) -> Any:
    import tensorflow as tf

    resized = tf.image.resize(pixels, size, "bilinear", antialias=antialias)
    return tf.floor(tf.clip_by_value(resized, 0.0, 255.0) + 0.5)
