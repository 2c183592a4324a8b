"""The table of variants: what is exported for a name, in which order, and one of one's own."""

import numpy as np
import pytest

from imgrec.artefact import Promise
from imgrec.compression import variants
from imgrec.compression.variants import VARIANTS, Variant, chain, find
from imgrec.errors import InputError
from imgrec.layers.rounded_kernel import RoundsKernel
from imgrec.models import build_model


def test_a_variant_brings_those_it_is_made_from() -> None:
    assert {name: chain(name) for name in VARIANTS} == {
        "none": ("none",),
        "float16": ("none", "float16"),
        "dynamic": ("none", "dynamic"),
        "ptq_litert": ("none", "ptq_litert"),
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
    assert find("qat").convert is None and find("qat").fine_tuning
    assert find("ptq").convert is not None and not find("ptq").fine_tuning


def test_one_of_one_s_own_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Variant("halved", "halved", "float32", Promise.SAME_ACCURACY, "none", convert=lambda m, images: m)
    monkeypatch.setitem(variants.VARIANTS, "halved", toy)
    assert chain("halved") == ("none", "halved")
    with pytest.raises(InputError, match=r"unknown variant 'half': did you mean halved\?"):
        chain("half")


def test_options_go_to_the_variants_on_the_way_that_know_them() -> None:
    assert chain("qat(float=[stem, logits])") == (
        "none",
        "ptq(float=[stem, logits])",
        "qat(float=[stem, logits])",
    )
    assert chain("qat(lsq=true)") == ("none", "qat(lsq=true)"), "ptq rounds by no step that wants learning"
    assert chain("ptq( observer = percentile( share=99.9 ) )")[1] == "ptq(observer=percentile(share=99.9))"


def test_an_option_is_a_parameter_of_what_converts() -> None:
    model, images = build_model("lenet5", (28, 28, 1), 3), np.zeros((2, 28, 28, 1), "uint8")
    found = find("qat(lsq=weights, observer=percentile(share=99))")
    assert found.convert is not None and found.fine_tuning and found.check is not None
    quantized = found.convert(model, images)
    assert quantized.get_layer("image_range").observer == "percentile(share=99)"
    assert all(la.learned for la in quantized.layers if isinstance(la, RoundsKernel))
    assert find("qat(float=logits)").convert is None, "goes on with the model of ptq(float=logits)"
    assert "float logits" in find("qat(float=logits)").title


def test_files_are_called_by_their_widths_where_these_are_not_eight() -> None:
    names = ("ptq", "qat", "qat(float=stem)", "qat(weights=4)", "ptq(activations=16)")
    assert [find(name).stem for name in names] == [
        "ptq_int8",
        "qat_int8",
        "qat_int8",
        "qat_w4a8",
        "ptq_w8a16",
    ]


@pytest.mark.parametrize(
    "text, said",
    [
        ("none(weights=4)", "variant 'none' takes no options, got 'weights'"),
        ("ptq(lsq=true)", "unknown option of variant ptq 'lsq'"),
        ("qat(weight=4)", "did you mean weights"),
        ("qat(4)", "expected name=value"),
        ("qat(weights=4", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        chain(text)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_value_is_checked_with_the_model() -> None:
    with pytest.raises(InputError, match="weights=3: expected 4 or 8 bits"):
        variants.check("qat(weights=3)", build_model("lenet5", (28, 28, 1), 3))
