"""A row of the zoo: how one architecture is built, and the facts about it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.models.learning import Learning
from imgrec.registry import lookup

Shape = tuple[int, int, int]
Scale = tuple[float, float, float]

IMAGENET_MEAN: Scale = (123.675, 116.28, 103.53)
"""Mean of ImageNet's red, green and blue, 0…255: torchvision's (0.485, 0.456, 0.406) × 255."""
IMAGENET_STD: Scale = (58.395, 57.12, 57.375)
"""Standard deviation of the same: torchvision's (0.229, 0.224, 0.225) × 255."""
CENTRED_MEAN: Scale = (128.0, 128.0, 128.0)
"""With `CENTRED_STD` for models without published weights: −2…2, every level exact in an int8 file."""
CENTRED_STD: Scale = (64.0, 64.0, 64.0)
"""See `CENTRED_MEAN`."""
HALF: Scale = (127.5, 127.5, 127.5)
"""Mean and standard deviation for pixels on −1…1, as many published weights were trained with."""


@dataclass(frozen=True)
class Architecture:
    """One model of the zoo; calling it builds it.

    `build(self, input_shape, num_classes, **layout, **options)` makes the network. `layout` tells this
    row from the others of its family; keyword-only parameters of `build` with a default are the
    options that a user may set.
    """

    name: str
    build: Callable[..., keras.Model]
    layout: Mapping[str, Any]
    parameters: int
    """Trainable parameters at `image_size`, `channels` and `num_classes`, with default options."""
    macs: int
    """Multiply-accumulates of one image at the same, as `compression.cost.parts` counts them."""
    source: str
    """The paper, and the reference implementation where the numbers are checked against one."""
    stages: int
    learning: Learning
    """Rate and decay from random weights, the same for the whole family."""
    image_size: int = 224
    channels: int = 3
    num_classes: int = 1000
    min_size: int = 32
    """Smallest side of an input under default options."""
    mean: Scale = IMAGENET_MEAN
    std: Scale = IMAGENET_STD
    reference_names: Callable[[str], tuple[str, ...]] | None = None
    """Layer name → the names under which reference checkpoints may hold it, for `weights.load_state`."""
    unused_state: str = ""
    """Regular expression of what checkpoints hold beside the network: auxiliary heads, index tables."""

    def __call__(self, input_shape: Sequence[int], num_classes: int = 1000, **options: Any) -> keras.Model:
        """Build the network: `[B, H, W, C]` pixels 0…255, called `image`, to float32 logits `[B, N]`.

        Args:
            input_shape: (H, W, C), C being 1 (grey) or 3 (colour).
            num_classes: N, at least 2.
            options: those of `self.options`.

        Raises:
            InputError: a shape, a number of classes, an option or its value that this model refuses.
        """
        shape = self._check_shape(input_shape)
        if not isinstance(num_classes, int) or num_classes < 2:
            raise InputError(f"{self.name}: got {num_classes!r} classes, expected at least 2")
        for option in options:
            lookup(self.options, option, f"option of {self.name}")
        return self.build(self, shape, num_classes, **self.layout, **options)

    @property
    def options(self) -> dict[str, Any]:
        """The options a user may set, with their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        return {name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the layers that others may rely on, input to output."""
        return ("stem", *(f"stage{i}" for i in range(1, self.stages + 1)), "features", "logits")

    def pixel_scale(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation for `channels` channels, 0…255.

        Grey takes the colours' averages, in whole numbers: then an int8 file holds every level exactly.
        """
        if channels == 3:
            return self.mean, self.std
        return (float(round(sum(self.mean) / 3)),), (float(round(sum(self.std) / 3)),)

    def require_size(self, shape: Shape, minimum: int, because: str = "") -> None:
        """Raise InputError where a side of `shape` is shorter than `minimum`."""
        if min(shape[:2]) < minimum:
            raise InputError(
                f"{self.name}: got {shape[0]}×{shape[1]} px, expected at least {minimum}×{minimum}{because}: "
                f"choose a larger image size or another model"
            )

    def _check_shape(self, input_shape: Sequence[int]) -> Shape:
        shape = tuple(input_shape)
        if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape) or shape[2] not in (1, 3):
            raise InputError(
                f"{self.name}: got input shape {shape}, expected (height, width, channels), channels 1 or 3"
            )
        self.require_size(shape, self.min_size)
        return shape


def family(build: Callable[..., keras.Model], source: str, **shared: Any) -> Callable[..., Architecture]:
    """Return what makes a row of a family of: name, layout, parameters, macs, by keyword facts of its own.

    Args:
        build: as `Architecture.build`.
        source: of every row; `{}` stands for the name in the reference, by default the row's own.
        shared: further facts that all rows have.
    """

    def row(
        name: str, layout: Mapping[str, Any], parameters: int, macs: int, reference: str = "", **own: Any
    ) -> Architecture:
        cited = source.format(reference or name)
        return Architecture(name, build, layout, parameters, macs, cited, **shared, **own)

    return row
