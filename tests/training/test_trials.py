"""--batch-size fastest: the smallest size near the best pace, and a network as it was."""

import numpy as np
import pytest

from imgrec.config import Config, OptimConfig, from_mapping
from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.training import trials
from imgrec.training.trials import Trial, fastest, time_sizes


@pytest.mark.parametrize(
    ("paces", "chosen"),
    [([100], 16), ([100, 190, 195], 32), ([100, 200, 390, 380], 64), ([100, 90], 16), ([100, 105, 111], 64)],
)
def test_the_smallest_near_the_best_is_chosen(paces: list[float], chosen: int) -> None:
    assert fastest([Trial(16 << number, pace) for number, pace in enumerate(paces)]) == chosen


def test_a_network_is_timed_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "SECONDS", 0.0)
    model = build_model("resnet8", (8, 8, 1), 3)
    before = [np.array(variable) for variable in model.variables]
    found = time_sizes(model, OptimConfig.plain(), images=40 * trials.FEWEST_STEPS)
    assert [trial.size for trial in found] in ([16], [16, 32])
    assert all(trial.images_per_second > 0 for trial in found)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value, err_msg=variable.path)


def test_a_full_memory_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = {16: 100.0, 32: 200.0, 64: None}
    monkeypatch.setattr(trials, "_pace", lambda model, size: paces[size])
    model = build_model("lenet5", (28, 28, 1), 3)
    assert time_sizes(model, OptimConfig.plain(), images=10_000) == [Trial(16, 100.0), Trial(32, 200.0)]


def test_the_word_is_a_setting() -> None:
    assert from_mapping({"batch_size": "fastest"}).optim.batch_size == "fastest"
    assert Config().replace(batch_size="fastest").replace(batch_size=8).optim.batch_size == 8
    with pytest.raises(InputError, match="expected a number or auto"):
        Config().replace(batch_size="many")
