"""Variants of a trained model that are exported, by name."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from imgrec.artefact import Arithmetic, Calibrated, Promise
from imgrec.compression import qat
from imgrec.errors import InputError
from imgrec.registry import lookup


@dataclass(frozen=True)
class Variant:
    """How the model that is exported is made.

    title: in words.
    stem: of the file's name.
    arithmetic: what it computes in; a format writes some of them.
    promise: what the parity gate holds its files to.
    after: the variant whose model it is made from, which is exported before it; empty: the trained model.
    check: of the model before it is trained; raises InputError where it has no such form.
    convert: model and calibration images, uint8 `[N, H, W, C]` → what the format writes; None: goes on with
        that very model.
    fine_tuning: name of the training that follows; empty: none.
    """

    title: str
    stem: str
    arithmetic: Arithmetic
    promise: Promise
    after: str = ""
    check: Callable[[keras.Model], None] | None = None
    convert: Callable[[keras.Model, np.ndarray], keras.Model | Calibrated] | None = None
    fine_tuning: str = ""


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
        convert=qat.prepare,
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
        fine_tuning="quantisation-aware",
    ),
}
"""Every variant by its name, the values of --quantize; one of your own is one file and one entry more."""


def chain(name: str) -> tuple[str, ...]:
    """Return the variants that are exported for `name`, in order: those it is made from, then itself.

    Raises:
        InputError: an unknown variant.
    """
    after = lookup(VARIANTS, name, "variant").after
    return (*(chain(after) if after else ()), name)
