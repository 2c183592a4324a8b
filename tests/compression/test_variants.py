"""The table of variants: what is exported for a name, in which order, and one of one's own."""

import pytest

from imgrec.artefact import Promise
from imgrec.compression import variants
from imgrec.compression.variants import VARIANTS, Variant, chain
from imgrec.errors import InputError


def test_a_variant_brings_those_it_is_made_from() -> None:
    assert {name: chain(name) for name in VARIANTS} == {
        "none": ("none",),
        "ptq": ("none", "ptq"),
        "qat": ("none", "ptq", "qat"),
    }
    assert [VARIANTS[name].stem for name in chain("qat")] == ["float32", "ptq_int8", "qat_int8"]
    assert [VARIANTS[name].promise for name in chain("qat")] == [
        Promise.SAME_ANSWERS,
        Promise.SAME_ACCURACY,
        Promise.SAME_ANSWERS,
    ]


def test_what_goes_on_with_a_model_is_told_from_what_makes_one() -> None:
    assert VARIANTS["qat"].convert is None and VARIANTS["qat"].fine_tuning
    assert VARIANTS["ptq"].convert is not None and not VARIANTS["ptq"].fine_tuning


def test_one_of_one_s_own_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Variant("halved", "halved", "float32", Promise.SAME_ACCURACY, "none", convert=lambda m, images: m)
    monkeypatch.setitem(variants.VARIANTS, "halved", toy)
    assert chain("halved") == ("none", "halved")
    with pytest.raises(InputError, match=r"unknown variant 'half': did you mean halved\?"):
        chain("half")
