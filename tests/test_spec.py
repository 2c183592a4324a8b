"""The notation of a name with options: what is read, its canonical text, and what is refused."""

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.spec import DEEPEST, LONGEST, Spec, Value, parse_line


@pytest.mark.parametrize(
    ("text", "args", "options", "canonical"),
    [
        ("focal", (), {}, "focal"),
        ("focal()", (), {}, "focal"),
        ("focal(gamma=2)", (), {"gamma": 2}, "focal(gamma=2)"),
        (" resnet20 ( width = 48 , ) ", (), {"width": 48}, "resnet20(width=48)"),
        ("r(stem-pool=true, se=False)", (), {"stem_pool": True, "se": False}, "r(stem_pool=true, se=false)"),
        ("step(at=[30,60])", (), {"at": (30, 60)}, "step(at=[30, 60])"),
        ("erasing(.3, area=(0.1, 0.2))", (0.3,), {"area": (0.1, 0.2)}, "erasing(0.3, area=[0.1, 0.2])"),
        ("randaugment(2, 9)", (2, 9), {}, "randaugment(2, 9)"),
        ("a(-1, +2, 1e-4, 3., 1_0)", (-1, 2, 1e-4, 3.0, "1_0"), {}, "a(-1, 2, 0.0001, 3.0, 1_0)"),
        ("triplet(mining=semi_hard, margin=0.2)", (), {"mining": "semi_hard", "margin": 0.2}, None),
        ("a(null, None, none)", (None, None, "none"), {}, "a(null, null, none)"),
        ("distill(teacher=runs/a)", (), {"teacher": "runs/a"}, "distill(teacher=runs/a)"),
        (r"""a('my run|1', "it's", '2', 'a\\')""", ("my run|1", "it's", "2", "a\\"), {}, None),
        (r"a(C:\runs\a, '', 'a=b')", (r"C:\runs\a", "", "a=b"), {}, None),
        ("a([], [[1, 2], [x]])", ((), ((1, 2), ("x",))), {}, "a([], [[1, 2], [x]])"),
        (
            "distill(teacher=resnet20(width=48), student=lenet5())",
            (),
            {"teacher": Spec("resnet20", (), {"width": 48}), "student": Spec("lenet5")},
            "distill(teacher=resnet20(width=48), student=lenet5())",
        ),
    ],
)
def test_a_text_is_its_name_values_and_options(
    text: str, args: tuple[Value, ...], options: dict[str, Value], canonical: str | None
) -> None:
    spec = Spec.parse(text)
    assert (spec.args, spec.options) == (args, options)
    assert [type(value) for value in spec.args] == [type(value) for value in args]
    assert canonical is None or str(spec) == canonical
    assert Spec.parse(str(spec)) == spec and str(Spec.parse(str(spec))) == str(spec)


def test_a_line_is_its_names_in_order() -> None:
    assert parse_line("flip|crop(28, pad=4) | lowlight(100)") == (
        Spec("flip"),
        Spec("crop", (28,), {"pad": 4}),
        Spec("lowlight", (100,)),
    )
    assert parse_line("a(x='b|c')") == (Spec("a", (), {"x": "b|c"}),)


def test_any_value_survives_its_text() -> None:
    draw = np.random.default_rng(0)
    letters = [*"ab1.-+e_'\"\\ |=,()[]\n", "true", "null", "é"]

    def value(depth: int) -> Value:
        kind = draw.integers(0, 7 if depth < 3 else 5)
        if kind < 2:
            return "".join(draw.choice(letters, draw.integers(0, 6)))
        if kind < 5:
            return [True, None, int(draw.integers(-99, 99)), float(draw.normal())][draw.integers(0, 4)]
        if kind == 5:
            return tuple(value(depth + 1) for _ in range(draw.integers(0, 3)))
        return Spec("name", (value(depth + 1),), {"option": value(depth + 1)})

    for _ in range(2000):
        spec = Spec("name", (value(0), value(0)), {"a": value(0), "b_2": value(0)})
        assert Spec.parse(str(spec)) == spec, str(spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read at its end: expected a name"),
        ("2x", "cannot be read at '2x': expected a name"),
        ("a|", "cannot be read at its end: expected a name"),
        ("a b", "cannot be read at 'b': expected an opening bracket, | or the end"),
        ("a(1", "cannot be read at its end: expected a comma or a closing bracket"),
        ("a(b c)", "cannot be read at 'c)'"),
        ("a(x=)", "cannot be read at ')': expected a value"),
        ("a(x='b)", "expected a value"),
        ("a(1, , 2)", "expected a value"),
        ("a(x=b|c)", "cannot be read at '|c)'"),
        ("a(x=1, 2)", "expected name=value after name=value"),
        ("a(x=1, x=2)", "--flag 'a(x=1, x=2)': a is given x twice"),
        ("a([x=1])", "expected values without names in a sequence"),
        ("a(1e999)", "1e999: expected a number below 1.8e308"),
        ("a(" + "[" * DEEPEST + "1" + "]" * DEEPEST + ")", f"expected {DEEPEST} brackets"),
        ("a(" * 900, f"expected {DEEPEST} brackets"),
        ("a|" * (LONGEST // 2) + "a", f"expected {LONGEST} characters at most"),
        ("a|b", "expected one name, got 2 joined by |"),
    ],
)
def test_what_is_no_such_notation_is_shown(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        Spec.parse(text, "--flag")
    assert str(error.value).startswith("--flag ") and message in str(error.value)
    assert len(str(error.value)) < 250 and "\n" not in str(error.value)


def test_options_alone_want_their_names() -> None:
    assert Spec.named("focal(gamma=2)") == Spec("focal", (), {"gamma": 2})
    with pytest.raises(InputError, match=r"--loss 'focal\(2\)': got 2, expected name=value"):
        Spec.named("focal(2)", "--loss")
