import inspect

import numpy as np
import pytest
from drawn import many
from pictures import picture

from imgrec.data.augment import affine
from imgrec.data.augment.compose import FIRST_STREAM, LONGEST, OPERATIONS, compose, parse
from imgrec.data.augment.limits import LIMITS
from imgrec.data.augment.view import View
from imgrec.data.order.draws import Draws
from imgrec.errors import InputError

SIZE = (28, 28)


def test_a_line_is_its_operations_in_order():
    steps = parse("flip|crop(28, pad=4)|randaugment(2, 9)|autoaugment(cifar10)|erasing(.3, area=(0.1, 0.2))")
    assert [(step.name, dict(step.options)) for step in steps] == [
        ("flip", {}),
        ("crop", {"size": 28, "pad": 4}),
        ("randaugment", {"n": 2, "m": 9}),
        ("autoaugment", {"policy": "cifar10"}),
        ("erasing", {"p": 0.3, "area": (0.1, 0.2)}),
    ]


def test_composing_is_calling_one_after_another_with_draws_of_each_place():
    pixels = picture(28, 28)
    line = compose("rotate(20, border=0)|jitter|crop(28, pad=3)|flip", SIZE, seed=4)
    for epoch, index in ((0, 0), (0, 1), (5, 1)):
        draws = [Draws(4, epoch, index, FIRST_STREAM + place) for place in range(4)]
        view = affine.rotate(View.of(pixels), draws[0], 20, 0)
        view = OPERATIONS["jitter"](view, draws[1])
        view = affine.flip(affine.crop(view, draws[2], SIZE, 3), draws[3])
        assert np.array_equal(line(pixels, epoch, index), view.pixels())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_runs_by_its_name_alone_and_keeps_its_input(name, channels):
    pixels = np.ascontiguousarray(picture(28, 28)[..., :channels])
    before, line = pixels.copy(), compose(name, SIZE, 0)
    results = [line(pixels, 0, index) for index in range(30)]
    assert all(r.shape == pixels.shape and r.dtype == np.uint8 for r in results)
    assert np.array_equal(pixels, before)
    differ = len({result.tobytes() for result in results})
    if channels == 1 and name in ("saturation", "hue", "greyscale"):
        assert np.abs(np.array(results, int) - pixels).max() <= 1
    else:
        assert differ == 2 if name in ("flip", "flip_vertical", "greyscale") else differ > 12
    assert np.array_equal(results[7], compose(name, SIZE, 0)(pixels, 0, 7))
    others = (
        [compose(name, SIZE, 1)(pixels, 0, i) for i in range(30)],
        [line(pixels, 1, i) for i in range(30)],
    )
    if not (channels == 1 and name in ("saturation", "hue", "greyscale")):
        assert not np.array_equal(results, others[0]) and not np.array_equal(results, others[1])


def test_every_operation_cites_or_explains_and_has_limits_for_its_arguments():
    for name, operation in OPERATIONS.items():
        assert inspect.getdoc(operation)
        for argument in list(inspect.signature(operation).parameters.values())[2:]:
            if argument.name == "size":
                continue
            limit = LIMITS.get(f"{name}.{argument.name}") or LIMITS[argument.name]
            if argument.default is not None:
                assert limit.allows(argument.default), (name, argument.name)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("flop", ["unknown operation in --augment 'flop'", "did you mean flip", "randaugment"]),
        ("flip|randaugmnt(2, 9)", ["'randaugmnt'", "did you mean randaugment"]),
        ("crop(28, pda=4)", ["unknown argument of crop 'pda'", "did you mean pad"]),
        ("flip(1.5)", ["flip(p=1.5)", "a number from 0 to 1"]),
        ("flip('often')", ["flip(p='often')", "a number from 0 to 1"]),
        ("flip(True)", ["flip(p=True)"]),
        ("flip(0.5, 1)", ["flip takes p", "2 values"]),
        ("flip(.5, p=.1)", ["p twice"]),
        ("crop(0)", ["crop(size=0)"]),
        ("crop(32)", ["crop to 32 × 32", "28 × 28", "--image-size"]),
        ("crop(pad=2.5)", ["pad=2.5", "whole number"]),
        ("crop(border=300)", ["border=300", "0 to 255 or reflect"]),
        ("erasing(area=(.5, .1))", ["area=(0.5, 0.1)", "ascending pair"]),
        ("scale(2, 1)", ["low 2 is above high 1"]),
        ("randaugment(2, 31)", ["magnitude 31"]),
        ("autoaugment(imagenette)", ["imagenet or cifar10"]),
        ("mixup(.2)", ["--mixup"]),
        ("flip|", ["cannot be read at its end", "as in"]),
        ("", ["cannot be read"]),
        ("flip\x00", ["cannot be read"]),
        ("(" * 1000, ["cannot be read"]),
        ("flip|" * 400 + "flip", ["cannot be read"]),
        ("|".join(["flip"] * (LONGEST + 1)), [f"{LONGEST + 1} operations"]),
        ("flip.x", ["unknown operation", "did you mean flip"]),
        ("1|2", ["cannot be read at '1|2'", "expected a name"]),
        ("flip + crop", ["cannot be read at '+ crop'"]),
        ("flip(*[1])", ["cannot be read at '[1])'"]),
        ("flip(**{'p': 1})", ["cannot be read"]),
        ("flip(p=crop(4))", ["flip(p=crop(4)): expected a number"]),
        ("rotate(2 ** 9)", ["cannot be read at '** 9)'"]),
        ("rotate(degrees=nan)", ["expected a number"]),
        ("rotate(1e999)", ["expected a number"]),
    ],
)
def test_what_cannot_be_meant_is_named(line, words):
    with pytest.raises(InputError) as error:
        compose(line, SIZE, 0)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_nothing_in_a_line_is_evaluated(monkeypatch):
    called = []
    monkeypatch.setattr("builtins.print", lambda *a: called.append(a))
    for line in (
        "print(1)",
        "flip(print(1))",
        "flip(p=[print(1)][0])",
        "(lambda: print(1))()",
        "flip(f'{1}')",
    ):
        with pytest.raises(InputError):
            compose(line, SIZE, 0)
    assert not called


def test_any_text_is_read_or_refused():
    rng, parts = (
        np.random.default_rng(0),
        ["flip", "crop", "(", ")", "|", ",", "=", "p", "1", ".5", "-", "'", "["],
    )
    for _ in range(1500):
        line = "".join(rng.choice(parts, rng.integers(1, 12)))
        try:
            steps = parse(line)
        except InputError:
            continue
        assert steps and parse("|".join(map(str, steps))) == steps


def test_only_a_resized_crop_wants_whole_pictures():
    assert compose("flip|resized_crop(28)|blur", SIZE, 0).whole and not compose("crop|flip", SIZE, 0).whole
    line = compose("resized_crop((20, 30), scale=(.1, .2))|randaugment", (20, 30), 0)
    assert line(picture(90, 70), 0, 0).shape == (20, 30, 3)


def test_draws_differ_between_the_places_of_a_line():
    both = compose("flip|flip", SIZE, 0)
    pixels = picture(28, 28)
    mirrored = [np.array_equal(both(pixels, 0, index), pixels[:, ::-1]) for index in range(400)]
    assert 150 < sum(mirrored) < 250  # as often as not
    assert len({draws.uniform() for draws in many(1000)}) == 1000
