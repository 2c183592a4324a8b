"""One line of text → what every training image goes through: `"flip|crop(28, pad=4)|randaugment(2, 9)"`.

Operations stand in their order, separated by `|`, each with arguments in the notation of `imgrec.spec`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgrec.data.augment import affine, colour, distort, policies
from imgrec.data.augment.limits import checked
from imgrec.data.augment.view import View
from imgrec.data.order.draws import Draws
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.spec import Spec, Value, parse_line

OPERATIONS: Mapping[str, Callable[..., View]] = {
    "flip": affine.flip,
    "flip_vertical": affine.flip_vertical,
    "crop": affine.crop,
    "resized_crop": affine.resized_crop,
    "rotate": affine.rotate,
    "shear": affine.shear,
    "translate": affine.translate,
    "scale": affine.scale,
    "jitter": colour.jitter,
    "brightness": colour.brightness,
    "contrast": colour.contrast,
    "saturation": colour.saturation,
    "hue": colour.hue,
    "greyscale": colour.greyscale,
    "noise": distort.noise,
    "blur": distort.blur,
    "elastic": distort.elastic,
    "erasing": distort.erasing,
    "randaugment": policies.randaugment,
    "autoaugment": policies.autoaugment,
    "trivialaugment": policies.trivialaugment,
    "augmix": policies.augmix,
}
# Each place in a line has a stream of draws of its own, from this one on; those below are `randomness.py`'s.
FIRST_STREAM = 16
LONGEST = 40


@dataclass(frozen=True)
class Augmenter:
    """A line ready to run: a pure function of image, epoch and index, safe in any number of threads.

    size: height and width of the result.
    seed: of the run.
    """

    steps: tuple[Spec, ...]
    size: tuple[int, int]
    seed: int

    @property
    def whole(self) -> bool:
        """Whether it wants images as decoded (it has a `resized_crop`), rather than prepared ones."""
        return any(step.name == "resized_crop" for step in self.steps)

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """Return uint8 `[*size, C]` for uint8 `[h, w, C]`, C = 1 or 3, which is not written to."""
        view = View.of(image, 0 if image.shape[-1] == 1 else "reflect")
        for row, step in enumerate(self.steps):
            draws = Draws(self.seed, epoch, index, FIRST_STREAM + row)
            view = OPERATIONS[step.name](view, draws, **step.options)
        return view.pixels()


def compose(line: str, size: tuple[int, int], seed: int) -> Augmenter:
    """Return what `line` says, for inputs of `size` (height, width).

    Raises:
        InputError: as `parse`, or a crop to another size than the model's input.
    """
    steps = []
    for step in parse(line):
        arguments: dict[str, Any] = dict(step.options)
        if "size" in inspect.signature(OPERATIONS[step.name]).parameters:
            asked = arguments.get("size", size)
            asked = (asked, asked) if isinstance(asked, int) else asked
            if asked != size:
                raise InputError(
                    f"augment: {step.name} to {asked[0]} × {asked[1]}, but the model's input is "
                    f"{size[0]} × {size[1]}: leave the size out, or set --image-size"
                )
            arguments["size"] = size
        steps.append(Spec(step.name, (), arguments))
    return Augmenter(tuple(steps), size, seed)


def parse(line: str) -> tuple[Spec, ...]:
    """Return the operations of `line`, every argument checked and by its name.

    Raises:
        InputError: the line cannot be read, or names an unknown operation or argument (the nearest known
            are named), or a value is of the wrong kind or out of range.
    """
    specs = parse_line(line, "--augment")
    if len(specs) > LONGEST:
        raise InputError(f"augment: {len(specs)} operations; expected at most {LONGEST}")
    return tuple(map(_step, specs))


def _step(spec: Spec) -> Spec:
    name = spec.name
    if name in ("mixup", "cutmix"):
        raise InputError(f"augment: {name} mixes whole batches and is a flag of its own: --{name} ALPHA")
    operation = lookup(OPERATIONS, name, "operation in --augment")
    parameters = {p.name: p for p in list(inspect.signature(operation).parameters.values())[2:]}
    if len(spec.args) > len(parameters):
        raise InputError(f"augment: {name} takes {', '.join(parameters)}; got {len(spec.args)} values")
    given: dict[str, Value] = dict(zip(parameters, spec.args, strict=False))
    for argument, value in spec.options.items():
        lookup(parameters, argument, f"argument of {name}")
        if argument in given:
            raise InputError(f"augment: {name} is given {argument} twice")
        given[argument] = value
    defaults = {p.name: p.default for p in parameters.values() if p.default is not p.empty}
    return Spec(name, (), checked(name, given, defaults))
