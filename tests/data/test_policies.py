import math
from collections import Counter

import numpy as np
import pytest
from drawn import many
from pictures import picture
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from imgrec.data.augment import policies
from imgrec.data.augment.policies import AUTO, MILD, POLICIES, RANDOM, WIDE, apply
from imgrec.data.augment.view import View

SIZE = (48, 64)
VIEW = View.of(picture(*SIZE))


@pytest.fixture
def applied(monkeypatch):
    """What was applied: (name, level, ranges, sign) in order."""
    calls = []

    def record(view, name, level, ranges, fill, sign=1):
        calls.append((name, level, ranges, sign))
        return view

    monkeypatch.setattr(policies, "apply", record)
    return calls


def even(counts, total, share):
    return stats.chisquare(counts, [total * share] * len(counts)).pvalue > 1e-3


def test_randaugment_draws_all_fourteen_alike_and_signs_evenly(applied):
    count = 3000
    for draws in many(count):
        policies.randaugment(VIEW, draws, 2, 9)
    names = Counter(name for name, *_ in applied)
    assert len(applied) == 2 * count and set(names) == set(RANDOM) and len(RANDOM) == 14
    assert even([names[name] for name in RANDOM], 2 * count, 1 / 14)
    assert all(level == 9 / 30 and ranges is AUTO for _, level, ranges, _ in applied)
    signs = Counter(sign for name, _, _, sign in applied if name in policies.SIGNED)
    assert stats.binomtest(signs[1], signs.total(), 0.5).pvalue > 1e-3
    assert {s for n, _, _, s in applied if n not in policies.SIGNED} == {1}
    # The two operations of an image are drawn independently.
    pairs = Counter((applied[k][0], applied[k + 1][0]) for k in range(0, 2 * count, 2))
    table = [[pairs[a, b] for b in RANDOM] for a in RANDOM]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_trivialaugment_draws_operations_and_magnitudes_alike(applied):
    for draws in many(3000):
        policies.trivialaugment(VIEW, draws)
    names = Counter(name for name, *_ in applied)
    levels = Counter(round(level * 30) for _, level, *_ in applied)
    assert even([names[name] for name in RANDOM], 3000, 1 / 14) and len(applied) == 3000
    assert even([levels[n] for n in range(31)], 3000, 1 / 31)
    assert {ranges for _, _, ranges, _ in applied} == {WIDE}


@pytest.mark.parametrize("policy", ["imagenet", "cifar10"])
def test_autoaugment_applies_its_table(policy, applied):
    count = 5000
    for draws in many(count):
        policies.autoaugment(VIEW, draws, policy)
    found = Counter((name, round(level * 9)) for name, level, *_ in applied)
    expected: Counter = Counter()
    for pair in POLICIES[policy]:
        for name, probability, magnitude in pair:
            expected[name, magnitude] += probability / 25 * count
    assert len(POLICIES[policy]) == 25 and set(found) == {key for key, n in expected.items() if n}
    spread = sum((found[key] - n) ** 2 / n for key, n in expected.items() if n)
    assert stats.chi2.sf(spread, len(found)) > 1e-3


def test_the_tables_are_the_papers():
    # Of the paper's tables 7 and 9: first and last rows, and how often an operation is named.
    imagenet, cifar = POLICIES["imagenet"], POLICIES["cifar10"]
    assert imagenet[0] == (("posterize", 0.4, 8), ("rotate", 0.6, 9))
    assert imagenet[24] == (("equalize", 0.8, 0), ("equalize", 0.6, 0))
    assert cifar[0] == (("invert", 0.1, 0), ("contrast", 0.2, 6))
    assert cifar[24] == (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0))
    for table, named, chances, magnitudes in (
        (imagenet, {"equalize": 17, "solarize": 7, "rotate": 6, "color": 6}, 31.0, 159),
        (cifar, {"autocontrast": 7, "equalize": 9, "translate_y": 5, "color": 5}, 26.5, 187),
    ):
        counts = Counter(name for pair in table for name, *_ in pair)
        assert {name: counts[name] for name in named} == named
        assert sum(chance for pair in table for _, chance, _ in pair) == pytest.approx(chances)
        assert sum(magnitude for pair in table for *_, magnitude in pair) == magnitudes


MAGNITUDES = {
    # By torchvision's tables: of 31 magnitudes the 9th and the strongest, width 64, height 48.
    ("shear_x", 0.3): 0.09,
    ("shear_y", 1.0): 0.3,
    ("translate_x", 0.3): int(0.3 * 150 / 331 * 64),
    ("translate_y", 1.0): int(150 / 331 * 48),
    ("rotate", 0.3): 9.0,
}


@pytest.mark.parametrize(("name", "level"), MAGNITUDES)
def test_geometric_operations_are_pillows_transforms(name, level):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels = np.stack([127 + 100 * np.sin(x / 9 + c) * np.cos(y / 7) for c in range(3)], -1).astype(np.uint8)
    image, amount = Image.fromarray(pixels), MAGNITUDES[name, level]
    for sign in (1, -1):
        ours = apply(View.of(pixels), name, level, AUTO, 128, sign).pixels()
        m = sign * amount
        if name == "rotate":
            theirs = image.rotate(m, Image.Resampling.BILINEAR, fillcolor=(128,) * 3)
        else:
            matrix = {
                "shear_x": (1, m, 0, 0, 1, 0),
                "shear_y": (1, 0, 0, m, 1, 0),
                "translate_x": (1, 0, -m, 0, 1, 0),
                "translate_y": (1, 0, 0, 0, 1, -m),
            }[name]
            theirs = image.transform(
                image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(128,) * 3
            )
        difference = np.abs(ours.astype(int) - np.asarray(theirs)).max(axis=-1)
        # Half a pixel along the border, Pillow repeats the edge where OpenCV blends with the fill.
        assert (difference <= 2).mean() > 0.93
        assert difference[14:34, 20:44].max() <= 2


@pytest.mark.parametrize(
    ("name", "level", "ranges", "pillow"),
    [
        ("brightness", 0.3, AUTO, lambda i: ImageEnhance.Brightness(i).enhance(1.27)),
        ("brightness", 1.0, WIDE, lambda i: ImageEnhance.Brightness(i).enhance(1.99)),
        ("color", 0.3, AUTO, lambda i: ImageEnhance.Color(i).enhance(1.27)),
        ("contrast", 0.5, AUTO, lambda i: ImageEnhance.Contrast(i).enhance(1.45)),
        ("sharpness", 0.3, AUTO, lambda i: ImageEnhance.Sharpness(i).enhance(1.27)),
        # 8 − round(9 / (30 / 4)) = 7 bits; at the strongest 4, 2 (wide) and 0 (AugMix).
        ("posterize", 0.3, AUTO, lambda i: ImageOps.posterize(i, 7)),
        ("posterize", 1.0, AUTO, lambda i: ImageOps.posterize(i, 4)),
        ("posterize", 1.0, WIDE, lambda i: ImageOps.posterize(i, 2)),
        ("posterize", 0.0, MILD, lambda i: ImageOps.posterize(i, 4)),
        ("solarize", 0.3, AUTO, lambda i: ImageOps.solarize(i, 255 * 0.7)),
        ("autocontrast", 0.3, AUTO, ImageOps.autocontrast),
        ("equalize", 0.3, AUTO, ImageOps.equalize),
        ("invert", 0.3, AUTO, ImageOps.invert),
        ("identity", 0.3, AUTO, lambda i: i),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_tonal_operations_are_pillows(name, level, ranges, pillow, channels):
    pixels = np.ascontiguousarray(picture()[..., :channels])
    ours = apply(View.of(pixels), name, level, ranges, 128).pixels()
    theirs = np.asarray(pillow(Image.fromarray(pixels.squeeze()))).reshape(pixels.shape)
    assert np.abs(ours.astype(int) - theirs).max() <= (2 if name == "color" else 1)


def test_wide_and_mild_ranges():
    assert apply(VIEW, "translate_x", 1.0, WIDE, 0).matrix == (1, 0, -32, 0, 1, 0)
    assert apply(VIEW, "shear_x", 1.0, WIDE, 0).matrix == (1, 0.99, 0, 0, 1, 0)
    assert apply(VIEW, "translate_y", 2 / 9, MILD, 0).matrix == (1, 0, 0, 0, 1, -int(2 / 9 * 16))
    turned = apply(VIEW, "rotate", 1.0, WIDE, 0).matrix
    assert math.degrees(math.atan2(turned[3], turned[0])) == pytest.approx(135)


def test_augmix_blends_chains_by_dirichlet_and_beta(applied):
    pixels = picture(*SIZE)
    for draws in many(1500):
        result = policies.augmix(View.of(pixels), draws).pixels()
        # With operations that do nothing the weights have to sum to one.
        assert np.abs(result.astype(int) - pixels).max() <= 1
    # Three chains of 1, 2 or 3 operations: 6 on average, variance 3 · 2/3.
    assert len(applied) == pytest.approx(1500 * 6, abs=4 * math.sqrt(1500 * 2))
    names = Counter(name for name, *_ in applied)
    assert even([names[name] for name in policies.MIXED], len(applied), 1 / 13)
    levels = Counter(round(level * 9) for _, level, *_ in applied)
    assert even([levels[n] for n in range(3)], len(applied), 1 / 3)


def test_augmixs_share_of_the_picture_is_beta(monkeypatch):
    monkeypatch.setattr(
        policies, "apply", lambda view, *rest: view.painted(np.full((2, 2, 3), 200, np.uint8))
    )
    black = View.of(np.zeros((2, 2, 3), np.uint8))
    for alpha in (1.0, 3.0):
        shares = [policies.augmix(black, d, alpha=alpha).pixels()[0, 0, 0] / 200 for d in many(1500)]
        # Rounded to 200 steps: compare at the middles between them.
        assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).statistic < 0.05


def test_augmix_is_the_weighted_sum_of_its_chains():
    pixels = picture(*SIZE)
    draws = next(iter(many(1)))
    result = policies.augmix(View.of(pixels), draws, severity=1, width=1, depth=1).pixels()
    # The same draws again, one operation of magnitude 0.
    draws = next(iter(many(1)))
    share = draws.generator().beta(1.0, 1.0)
    draws = next(iter(many(1)))
    generator = draws.generator()
    share = generator.beta(1.0, 1.0)
    generator.dirichlet([1.0])
    name = policies.MIXED[draws.below(13)]
    draws.below(1)
    other = apply(View.of(pixels), name, 0.0, MILD, 128).pixels()
    assert np.abs(result - ((1 - share) * pixels + share * other)).max() <= 0.51
