"""Determinism, precision and devices: decided here and nowhere else."""

import contextlib
import platform
from collections.abc import Callable, Iterator
from timeit import timeit
from typing import Any

import keras
import numpy

from imgrec.errors import InputError
from imgrec.processors import cores

# Below this gain of bfloat16 over float32 the lost mantissa bits buy nothing.
WORTHWHILE_GAIN = 1.2


# TensorFlow tells nobody whether it was switched on.
_deterministic = False


def use_deterministic_operations() -> None:
    """Let TensorFlow choose only operations that give the same bits each time, for the rest of the process.

    Everything must be seeded by then. Some operations get slower, and a few on a GPU raise an error.
    """
    global _deterministic
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()  # of the input too, under any backend
    _deterministic = True


def is_deterministic() -> bool:
    """Whether this process called `use_deterministic_operations`."""
    return _deterministic


def bfloat16_gain() -> float:
    """Measure how many times faster a convolution runs in bfloat16 than in float32 on this machine.

    A 3×3 convolution of 64 channels over `[16, 28, 28, 64]`; each type is warmed up, then the fastest of
    ten rounds counts. They take turns, so that other work on the machine slows both. Well under a second.
    """
    import tensorflow as tf

    def convolution(dtype: Any) -> Callable[[], Any]:
        images = tf.ones((16, 28, 28, 64), dtype)
        kernel = tf.ones((3, 3, 64, 64), dtype)
        convolve = tf.function(lambda: tf.nn.conv2d(images, kernel, 1, "SAME"))
        return lambda: convolve()[0, 0, 0, 0].numpy()

    sides = [convolution(tf.float32), convolution(tf.bfloat16)]
    for side in sides:
        side()
    rounds = [[timeit(side, number=1) for side in sides] for _ in range(10)]
    float32, bfloat16 = (min(times) for times in zip(*rounds, strict=True))
    return float32 / bfloat16


def set_precision(name: str) -> str:
    """Set Keras's dtype policy and return a line that says which and why.

    `name` is auto, float32, mixed_bfloat16 or mixed_float16; auto measures `bfloat16_gain`.
    """
    if backend() == "jax":
        return _jax_precision(name)
    if name != "auto":
        keras.config.set_dtype_policy(name)
        return name
    gain = bfloat16_gain()
    chosen = "mixed_bfloat16" if gain >= WORTHWHILE_GAIN else "float32"
    keras.config.set_dtype_policy(chosen)
    return f"{chosen} (bfloat16 runs {gain:.2f} × as fast as float32 here)"


def _jax_precision(name: str) -> str:
    import jax

    if name == "mixed_float16":
        raise InputError("--precision mixed_float16 under JAX: take mixed_bfloat16, which needs no scaling")
    platform = jax.devices()[0].platform
    chosen = name if name != "auto" else "float32" if platform == "cpu" else "mixed_bfloat16"
    keras.config.set_dtype_policy(chosen)
    return chosen if name != "auto" else f"{chosen} ({platform})"


@contextlib.contextmanager
def in_float32() -> Iterator[None]:
    """Let what is built within compute in float32, whatever Keras's policy was before and is again after."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def choose_strategy(name: str) -> tuple[Any, str]:
    """Return (a `tf.distribute.Strategy` or None, a line that says which devices).

    `auto` mirrors over the GPUs when there are several, and else uses the one device there is. `multiworker`
    waits for the other hosts; nothing may have been computed before.

    Raises:
        InputError: TF_CONFIG does not say who they are; or there is no TPU that this TensorFlow can use.
    """
    from imgrec import workers

    if backend() == "jax":
        from imgrec import jax_devices

        return jax_devices.choose(name, workers.cluster() if name == "multiworker" else None)
    if name == "tpu":
        return _tpu()
    if name == "multiworker":
        team = workers.Team(workers.join())
        devices = team.strategy.num_replicas_in_sync
        return team.strategy, f"{devices} device(s) of {team.size} workers, of which this is {team.index}"
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        cpus = tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy(None if gpus else [device.name for device in cpus])
        return strategy, f"mirrored over {strategy.num_replicas_in_sync} device(s)"
    if gpus:
        return None, "one GPU"
    return None, f"CPU, {cores()} cores"


def _tpu() -> tuple[Any, str]:
    """Return the strategy of TensorFlow's TPU; 2.19.1 is its last release that has one."""
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(tpu="local")
    except (ValueError, KeyError, tf.errors.OpError) as error:
        why = str(error).splitlines()[0]
        raise InputError(
            f"--strategy tpu: TensorFlow {tf.__version__} finds no TPU ({why}); use KERAS_BACKEND=jax with "
            "pip install 'jax[tpu]' (python -m pipelines.doctor says more)"
        ) from None
    strategy = tf.distribute.TPUStrategy(resolver)
    return strategy, f"TPU, {strategy.num_replicas_in_sync} cores"


def accelerated() -> bool:
    """Whether there is a GPU or TPU to compute on."""
    if backend() == "jax":
        import jax

        return jax.devices()[0].platform != "cpu"
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def backend() -> str:
    """The library that Keras computes with: tensorflow or jax."""
    return str(keras.backend.backend())


def even_batch(wanted: int, images: int, strategy: Any) -> int:
    """Return the images of a step, `wanted` at most, the same number on each device.

    An epoch takes no more steps than at `wanted`, and they share its images evenly: 182 at 128 are 2 × 91.

    Raises:
        InputError: `wanted` cannot be split evenly, or there are fewer images than devices.
    """
    devices = 1 if strategy is None else strategy.num_replicas_in_sync
    if wanted % devices:
        near = [size for size in (wanted // devices * devices, -(-wanted // devices) * devices) if size]
        raise InputError(
            f"--batch-size {wanted}: does not split evenly over {devices} devices; "
            f"{' or '.join(map(str, near))} does"
        )
    if images < devices:
        raise InputError(f"{images} training images: fewer than the {devices} devices; use --strategy none")
    steps = -(-images // wanted)
    size = -(-images // (steps * devices)) * devices
    # All in one step, were it not for the last device's share: then in two, for no batch exceeds the images.
    return size if size <= images else -(-images // (2 * devices)) * devices


def even_images(images: int, strategy: Any) -> int:
    """Return how many of the validation images are used: under JAX, what splits evenly over the devices.

    Raises:
        InputError: there are fewer images than devices.
    """
    if strategy is None or backend() != "jax":
        return images
    devices = strategy.num_replicas_in_sync
    if images < devices:
        raise InputError(f"{images} validation images: fewer than the {devices} devices; use --strategy none")
    return images // devices * devices


def scope(strategy: Any) -> contextlib.AbstractContextManager[Any]:
    """The context in which models and optimisers of `strategy` are built; None needs none."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def wants_jit() -> bool | str:
    """Whether a step should be compiled by XLA: on a CPU it halves the speed of a convolution's step."""
    import tensorflow as tf

    return "auto" if backend() == "jax" or tf.config.list_logical_devices("GPU") else False


def versions() -> dict[str, str]:
    """The versions that decide what a run gives."""
    import tensorflow as tf

    import imgrec

    return {
        "imgrec": imgrec.__version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": backend(),
        "tensorflow": tf.__version__,
        "numpy": numpy.__version__,
    }
