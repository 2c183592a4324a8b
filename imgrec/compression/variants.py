"""Variants of a trained model that are exported, by name, each with its options.

An option is a parameter, by keyword alone, of what the table converts with: `qat(lsq=true)` calls
`qat.prepare(model, images, lsq=True)`.
"""

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras

from imgrec.artefact import Arithmetic, Calibrated, Promise
from imgrec.compression import qat
from imgrec.compression.floating import Cost
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.spec import Spec


@dataclass(frozen=True)
class Variant:
    """How the model that is exported is made.

    title: in words.
    stem: of the file's name.
    arithmetic: what it computes in; a format writes some of them.
    promise: what the parity gate holds its files to.
    after: the variant whose model it is made from, which is exported before it; empty: the trained model.
        It takes the same options; where it does not know all of them, its own predecessor is taken.
    check: of the model before it is trained, with the options; raises InputError where it has no such form.
    convert: model and calibration images, uint8 `[N, H, W, C]`, and the options → what the format writes.
    continues: goes on with the very model of the variant before, where that was made with the same options.
    fine_tuning: name of the training that follows; empty: none.
    stem_with: options → stem, where they change what the file holds.
    cost: the trained model, and the options → what parts of it left float32 cost; None where there are none.
    """

    title: str
    stem: str
    arithmetic: Arithmetic
    promise: Promise
    after: str = ""
    check: Callable[..., None] | None = None
    convert: Callable[..., keras.Model | Calibrated] | None = None
    continues: bool = False
    fine_tuning: str = ""
    stem_with: Callable[..., str] | None = None
    cost: Callable[..., Cost | None] | None = None

    @property
    def options(self) -> frozenset[str]:
        """The names of the options that it takes."""
        parameters = inspect.signature(self.convert).parameters if self.convert else {}
        return frozenset(name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY)


def has_quantizer(model: keras.Model) -> None:
    """Make sure that LiteRT's quantiser is there, before anything is trained. Raises InputError."""
    if importlib.util.find_spec("litert_quantizer") is None:
        raise InputError("--quantize ptq_litert: pip install 'imgrec[quantizer]', or take --quantize ptq")


VARIANTS: dict[str, Variant] = {
    "none": Variant("float32", "float32", "float32", Promise.SAME_ANSWERS),
    "float16": Variant("float16 weights", "float16", "float16", Promise.SAME_ANSWERS, after="none"),
    "dynamic": Variant(
        "int8 weights, activations rounded as it runs",
        "dynamic_int8",
        "dynamic",
        Promise.SAME_ACCURACY,
        after="none",
    ),
    "ptq": Variant(
        "post-training int8",
        "ptq_int8",
        "int8",
        Promise.SAME_ACCURACY,
        after="none",
        check=qat.check,
        convert=qat.calibrated,
        stem_with=partial(qat.stem, "ptq"),
        cost=qat.cost_of_float,
    ),
    "ptq_litert": Variant(
        "post-training int8 by litert-quantizer",
        "ptq_litert_int8",
        "calibrated",
        Promise.SAME_ACCURACY,
        after="none",
        check=has_quantizer,
        convert=Calibrated,
    ),
    "qat": Variant(
        "quantisation-aware int8",
        "qat_int8",
        "int8",
        Promise.SAME_ANSWERS,
        after="ptq",
        check=qat.check,
        convert=qat.prepare,
        continues=True,
        fine_tuning="quantisation-aware",
        stem_with=partial(qat.stem, "qat"),
        cost=qat.cost_of_float,
    ),
}
"""Every variant by its name, the values of --quantize; one of your own is one file and one entry more."""


def chain(text: str) -> tuple[str, ...]:
    """Return the variants that are exported for `text`, in order: those it is made from, then itself.

    Those before it take the options too. One that does not know them all is left out: what it would export is
    no step on the way to this one.

    Args:
        text: a name in `VARIANTS`, with its options where it has any.

    Raises:
        InputError: an unknown variant, or an option that it does not take.
    """
    spec = _read(text)
    after = VARIANTS[spec.name].after
    while after and not set(spec.options) <= VARIANTS[after].options and VARIANTS[after].after:
        after = VARIANTS[after].after
    known = {key: value for key, value in spec.options.items() if after and key in VARIANTS[after].options}
    return (*(chain(str(Spec(after, (), known))) if after else ()), str(spec))


def find(text: str) -> Variant:
    """Return the variant that `text` names, its options bound to what it checks and converts with.

    Raises:
        InputError: an unknown variant, or an option that it does not take.
    """
    spec = _read(text)
    variant = VARIANTS[spec.name]
    options = spec.options
    if options:
        title = f"{variant.title} ({', '.join(f'{k} {_plain(v)}' for k, v in options.items())})"
        stem = variant.stem_with(**options) if variant.stem_with else variant.stem
        variant = replace(
            variant,
            title=title,
            stem=stem,
            check=variant.check and partial(variant.check, **options),
            convert=variant.convert and partial(variant.convert, **options),
            cost=variant.cost and partial(variant.cost, **options),
        )
    if variant.continues and chain(text)[-2:-1] == (str(Spec(variant.after, (), options)),):
        return replace(variant, convert=None)
    return variant


def steps(text: str) -> tuple[Variant, ...]:
    """Return the variants that are exported for `text`, in order; as `chain`."""
    return tuple(find(each) for each in chain(text))


def check(text: str, model: keras.Model) -> None:
    """Make sure that all of `text` can be made of `model`, trained or not.

    Raises:
        InputError: it cannot, or an option has a value that means nothing.
    """
    for variant in steps(text):
        if variant.check:
            variant.check(model)


def _read(text: str) -> Spec:
    spec = Spec.named(text, "--quantize")
    options = lookup(VARIANTS, spec.name, "variant").options
    for option in spec.options:
        if not options:
            raise InputError(f"variant {spec.name!r} takes no options, got {option!r}")
        lookup(dict.fromkeys(options), option, f"option of variant {spec.name}")
    return spec


def _plain(value: Any) -> str:
    """An option's value in a title."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
