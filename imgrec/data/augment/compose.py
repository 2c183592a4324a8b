"""One line of text → what every training image goes through: `"flip|crop(28, pad=4)|randaugment(2, 9)"`.

Operations stand in their order, separated by `|`, each with arguments as in Python. Nothing is evaluated:
the line is parsed, and only names, numbers, texts and pairs of numbers are taken from it.
"""

import ast
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
_EXAMPLE = 'such as "flip|crop(28, pad=4)|randaugment(2, 9)"'


@dataclass(frozen=True)
class Step:
    """One operation of a line, with the arguments that were given."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Augmenter:
    """A line ready to run: a pure function of image, epoch and index, safe in any number of threads.

    size: height and width of the result.
    seed: of the run.
    """

    steps: tuple[Step, ...]
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
            view = OPERATIONS[step.name](view, draws, **step.arguments)
        return view.pixels()


def compose(line: str, size: tuple[int, int], seed: int) -> Augmenter:
    """Return what `line` says, for inputs of `size` (height, width).

    Raises:
        InputError: as `parse`, or a crop to another size than the model's input.
    """
    steps = []
    for step in parse(line):
        arguments = dict(step.arguments)
        if "size" in inspect.signature(OPERATIONS[step.name]).parameters:
            asked = arguments.get("size", size)
            asked = (asked, asked) if isinstance(asked, int) else asked
            if asked != size:
                raise InputError(
                    f"augment: {step.name} to {asked[0]} × {asked[1]}, but the model's input is "
                    f"{size[0]} × {size[1]}: leave the size out, or set --image-size"
                )
            arguments["size"] = size
        steps.append(Step(step.name, arguments))
    return Augmenter(tuple(steps), size, seed)


def parse(line: str) -> tuple[Step, ...]:
    """Return the operations of `line` with their arguments checked.

    Raises:
        InputError: the line cannot be read, or names an unknown operation or argument (the nearest known
            are named), or a value is of the wrong kind or out of range.
    """
    try:
        tree = ast.parse(line.strip(), mode="eval").body if len(line) <= 2000 else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        tree = None
    if tree is None:
        raise InputError(
            f"augment {line[:80]!r}: cannot be read; expected operations joined by |, {_EXAMPLE}"
        )
    nodes = _parts(tree)
    if len(nodes) > LONGEST:
        raise InputError(f"augment: {len(nodes)} operations; expected at most {LONGEST}")
    return tuple(_step(node) for node in nodes)


def _parts(node: ast.expr) -> list[ast.expr]:
    """Return the operands of `a | b | c`, in order."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _step(node: ast.expr) -> Step:
    call = node if isinstance(node, ast.Call) else ast.Call(func=node, args=[], keywords=[])
    if not isinstance(call.func, ast.Name):
        raise InputError(f"augment: {ast.unparse(node)!r} is no operation; expected a name, {_EXAMPLE}")
    name = call.func.id
    if name in ("mixup", "cutmix"):
        raise InputError(f"augment: {name} mixes whole batches and is a flag of its own: --{name} ALPHA")
    operation = lookup(OPERATIONS, name, "operation in --augment")
    parameters = list(inspect.signature(operation).parameters.values())[2:]
    known = [parameter.name for parameter in parameters]
    if len(call.args) > len(known):
        raise InputError(f"augment: {name} takes {', '.join(known)}; got {len(call.args)} values")
    given = dict(zip(known, call.args, strict=False))
    for keyword in call.keywords:
        argument = lookup(dict(zip(known, known, strict=True)), keyword.arg or "**", f"argument of {name}")
        if argument in given:
            raise InputError(f"augment: {name} is given {argument} twice")
        given[argument] = keyword.value
    values = {key: _value(name, key, node) for key, node in given.items()}
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return Step(name, checked(name, values, defaults))


def _value(name: str, argument: str, node: ast.expr) -> Any:
    """Return the number, text or pair that a node stands for; a bare name is a text."""
    if isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise InputError(
            f"augment: {name}({argument}={ast.unparse(node)}): expected a number, a pair or a word"
        ) from None
