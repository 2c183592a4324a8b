"""The long tail: the published counts, and what stays as it was."""

import dataclasses

import numpy as np
import pytest

from imgrec.data.sources.long_tail import long_tail_counts, long_tailed
from imgrec.data.sources.sample import load_sample
from imgrec.errors import InputError
from imgrec.metrics.answers import frequency_groups, ratio


def test_counts_are_those_of_the_published_cifar_10() -> None:
    # CIFAR-10-LT of ratio 100 and of ratio 10: 12,406 and 20,431 images.
    hundred = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert long_tail_counts(5000, 10, 100) == hundred and sum(hundred) == 12_406
    assert sum(long_tail_counts(5000, 10, 10)) == 20_431
    # CIFAR-100-LT of ratio 100: 10,847.
    assert sum(long_tail_counts(500, 100, 100)) == 10_847


def test_the_sample_with_a_tail() -> None:
    whole, source = load_sample(), long_tailed(load_sample(), 100, seed=0)
    counts = source.train.counts(10).tolist()
    assert counts == [1000, 599, 359, 215, 129, 77, 46, 27, 16, 10] == long_tail_counts(1000, 10, 100)
    assert ratio(counts) == 100
    assert source.val.ids == whole.val.ids and source.test.ids == whole.test.ids
    assert set(source.train.ids) < set(whole.train.ids)
    place = {name: index for index, name in enumerate(whole.train.ids)}
    order = [place[name] for name in source.train.ids]
    assert order == sorted(order)
    np.testing.assert_array_equal(source.train.images, whole.train.images[order])
    assert source.fingerprint != whole.fingerprint
    assert source.notes == ("--long-tail 100: 2,478 of 10,000 training images left",)


def test_which_images_stay_is_the_seed_s() -> None:
    first, again, other = (long_tailed(load_sample(), 50, seed).train.ids for seed in (0, 0, 1))
    assert first == again and len(first) == len(other) and first != other


def test_a_class_that_has_fewer_keeps_its_own() -> None:
    sample = load_sample()
    few = np.flatnonzero((sample.train.labels != 0) | (np.arange(len(sample.train)) < 300))
    source = dataclasses.replace(sample, train=sample.train.take(few))
    held = int(source.train.counts(10)[0])
    assert held < 1000
    assert long_tailed(source, 10, 0).train.counts(10).tolist()[:2] == [held, 774]


def test_a_ratio_below_1_is_refused() -> None:
    with pytest.raises(InputError, match=r"--long-tail 0.5: expected 1 or more, such as 100"):
        long_tailed(load_sample(), 0.5, seed=0)


def test_groups_are_thirds_of_the_logarithmic_range() -> None:
    # 1000 … 1: bounds at 100 and 10, each of which belongs to the larger classes.
    assert frequency_groups([1000, 500, 100, 99, 10, 9, 1]) == [0, 0, 0, 1, 1, 2, 2]
    # An exponential tail has a third of its classes in each.
    assert frequency_groups(long_tail_counts(100_000, 9, 256)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert frequency_groups([7, 7, 7]) == [0, 0, 0]
