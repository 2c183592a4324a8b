"""The search: its space, its trials with a stand-in trainer, killing it, and two real trials."""

import csv
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from stub_trainer import accuracy
from test_crossval import HERE, ROOT, TINY, is_alive, npz, starts, stub, waits_for  # noqa: F401

from imgrec.config import Config, from_mapping
from imgrec.errors import InputError
from imgrec.runs.search import study as studies
from imgrec.runs.search.space import OneOf, Range, default_space, parse_space
from pipelines import tune
from pipelines.cli import read_recipe

RATES = "learning_rate: {low: 0.0001, high: 1.0, log: true}\nlabel_smoothing: [0.0, 0.1]\n"


def test_a_space_is_read_by_the_settings_types() -> None:
    space = parse_space(
        {
            "learning-rate": {"low": 1e-3, "high": 1, "log": True},
            "batch_size": {"low": 16, "high": 64, "step": 16},
            "label_smoothing": {"low": 0, "high": 1},
            "flip": [True, False],
            "model": ["resnet8", "resnet20"],
            "model.width": [16, 32],
            "model.depth": {"low": 1, "high": 3},
            "model.attention": ["none", "se"],
            "loss": ["cross_entropy", "focal( gamma=2 )"],
        }
    )
    assert space.entries == {
        "learning_rate": Range(1e-3, 1.0, log=True),
        "batch_size": Range(16, 64, step=16),
        "label_smoothing": Range(0.0, 1.0),
        "flip": OneOf((True, False)),
        "model": OneOf(("resnet8", "resnet20")),
        "model.width": OneOf((16, 32)),
        "model.depth": Range(1, 3),
        "model.attention": OneOf(("none", "se")),
        "loss": OneOf(("cross_entropy", "focal(gamma=2)")),
    }
    assert isinstance(space.entries["label_smoothing"].distribution(), optuna.distributions.FloatDistribution)
    assert isinstance(space.entries["batch_size"].distribution(), optuna.distributions.IntDistribution)
    config = Config().replace(model="resnet8(width=16, depth=2, attention=se)")
    changed = space.apply(config, {"model.width": 32, "model.attention": "none", "flip": False})
    assert changed.model.model == "resnet8(width=32, depth=2, attention=none)"
    assert not changed.augment.flip and changed.optim == config.optim
    begun = config.replace(batch_size=48, learning_rate=0.1, loss="focal(gamma=2)")
    values = space.values(begun)
    assert (values["model"], values["model.depth"], values["loss"]) == ("resnet8", 2, "focal(gamma=2)")
    assert space.apply(begun, values) == begun
    other = space.apply(
        begun, {"model.width": 32, "model.depth": 1, "model.attention": "se", "model": "resnet20"}
    )
    assert other.model.model == "resnet20(width=32, depth=1, attention=se)"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"learning_rat": [1, 2]}, "unknown setting of --space 'learning_rat': did you mean learning_rate"),
        ({"learning_rate": 0.1}, "learning_rate: got 0.1, expected low and high"),
        ({"learning_rate": {"low": 1, "hihg": 2}}, "expected low and high"),
        ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "with log a low above 0"),
        ({"learning_rate": {"low": 1, "high": 0.1}}, "low below high"),
        ({"batch_size": {"low": 1.5, "high": 8}}, "expected whole numbers"),
        ({"flip": {"low": 0, "high": 1}}, "flip: has no range; expected a list"),
        ({"optimizer": ["sgd", "sdg"]}, "setting 'optimizer': got 'sdg', expected one of auto, sgd, adamw"),
        ({"optimizer": ["sgd"]}, "expected two values or more"),
        ({"model_options": {"width": [16, 32]}}, "model_options: write model.width: [16, 32]"),
        ({"loss-options": {"gamma": {"low": 1, "high": 2}}}, 'write loss.gamma: {"low": 1, "high": 2}'),
        ({"epochs.width": [1, 2]}, "epochs.width: epochs is no name with options"),
        ({"loss": ["focal(", "cross_entropy"]}, "loss 'focal(': cannot be read at its end"),
        ({"seed": [1, 2]}, "seed is not searched over"),
    ],
)
def test_a_wrong_space_is_named(tree: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_space(tree)
    assert message in str(error.value)


def test_the_first_setting_must_lie_in_the_space() -> None:
    space = parse_space({"learning_rate": {"low": 0.001, "high": 0.01}})
    with pytest.raises(InputError, match=r"0.001 … 0.01 does not hold 0.1.*such as --learning-rate 0.001"):
        space.values(Config().replace(learning_rate=0.1))
    with pytest.raises(InputError, match=r'name the option there too, such as --model "auto\(width=16\)"'):
        parse_space({"model.width": [16, 32]}).values(Config())
    assert not Range(16, 64, step=16).holds(40) and Range(16, 64, step=16).holds(48)
    assert not Range(0.0, 1.0).holds(True) and not OneOf((0, 1)).holds(True)
    numbers = {"learning_rate": 0.1, "weight_decay": 5e-4}
    for config in (
        from_mapping(numbers),
        from_mapping({**numbers, "weight_decay": 0, "augment": "flip|trivialaugment", "erasing": 0.7}),
    ):
        assert default_space(config).apply(config, default_space(config).values(config)) == config


def test_a_trial_below_the_median_of_its_epoch_is_stopped() -> None:
    """Medians by NumPy: a trial is stopped in its first epoch, after the warm-up, whose best is below."""
    study = optuna.create_study(direction="maximize", pruner=studies.pruner(8))
    draw = np.random.default_rng(0)
    curves = draw.uniform(0.2, 0.9, (5, 8))
    for curve in curves:
        trial = study.ask()
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
        study.tell(trial, curve[-1])
    medians = np.median(curves, axis=0)
    for curve in draw.uniform(0.2, 0.9, (20, 8)):
        below = np.maximum.accumulate(curve) < medians
        expected = next((epoch for epoch in range(1, 9) if epoch >= 3 and below[epoch - 1]), None)
        trial, stopped = study.ask(), None
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
            if trial.should_prune():
                stopped = epoch
                break
        assert stopped == expected
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


def words_of(tmp_path: Path, trials: int = 7) -> list[str]:
    (tmp_path / "space.yaml").write_text(RATES)
    words = ["--trials", str(trials), "--space", str(tmp_path / "space.yaml"), "--epochs", "3"]
    words += ["--learning-rate", "0.1"]
    return [*words, "--out", str(tmp_path / "search"), "--quantize", "ptq"]


def test_a_search_finds_what_is_known_to_be_best(
    stub: None,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stand-in's accuracy is highest at a rate of 0.01; the first setting's rate is 0.1."""
    monkeypatch.setenv("STUB_SECONDS", "0.5")  # so that there is time to stop one
    assert tune.main(words_of(tmp_path)) == 0
    monkeypatch.delenv("STUB_SECONDS")
    said = capsys.readouterr().out
    study = optuna.load_study(study_name="imgrec", storage=f"sqlite:///{tmp_path / 'search' / 'study.db'}")
    trials = study.trials
    assert len(trials) == 7 and {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert trials[0].params == {"learning_rate": 0.1, "label_smoothing": 0.1}
    for trial in trials:
        best = accuracy(trial.params["learning_rate"])
        steps = trial.intermediate_values
        assert all(value == pytest.approx(best * epoch / 3) for epoch, value in steps.items())
        folder = tmp_path / "search" / "trials" / f"{trial.number:04d}"
        assert not folder.with_name(f"{folder.name}.unfinished").exists()
        assert folder.exists() == (trial.state.name == "COMPLETE")
        if trial.state.name == "COMPLETE":
            assert trial.value == pytest.approx(best) and len(steps) == 3
    best_trial = max((t for t in trials if t.state.name == "COMPLETE"), key=lambda t: t.value)
    assert best_trial.value >= trials[0].value
    recipe = tmp_path / "search" / "best.yaml"
    assert said.splitlines()[-1] == (
        f"done: {recipe}; train with it: python -m pipelines.train --recipe {recipe} "
        f"--out {tmp_path / 'search_best'}"
    )
    config = read_recipe(str(recipe))
    assert config.optim.learning_rate == best_trial.params["learning_rate"]
    assert (config.optim.epochs, config.quantize.quantize, config.run.out) == (3, "ptq", Config().run.out)
    page = (tmp_path / "search" / "index.html").read_text()
    assert page.count("<tr") >= 8 and "learning_rate" in page and "best so far" in page
    assert not [word for word in ('src="http', 'href="http', "<script ") if word in page]
    assert page.count("<script>") == 1  # the page's own, which its policy names

    # Asked again it has nothing to do; asked for more it goes on; another space is another search.
    assert tune.main(words_of(tmp_path)) == 0
    assert len(study.get_trials()) == 7
    words = words_of(tmp_path)
    (tmp_path / "space.yaml").write_text(RATES.replace("1.0", "2.0"))
    with pytest.raises(InputError, match=r"search of other settings .*learning-rate was '0.0001 … 1, log'"):
        tune.main(words)


def test_importance_is_the_rate_s() -> None:
    """fANOVA over a function of the rate alone gives it nearly everything."""
    space = parse_space(yaml.safe_load(RATES))
    study = optuna.create_study(direction="maximize")
    assert studies.importances(study) == {}
    for number in range(24):
        trial = studies.next_trial(study, space, {"learning_rate": 0.1, "label_smoothing": 0.1}, 24, 0)
        assert trial is not None
        assert (trial.params["learning_rate"] == 0.1) == (number == 0)
        study.tell(trial, accuracy(trial.params["learning_rate"]))
    assert studies.next_trial(study, space, {}, 24, 0) is None
    shares = studies.importances(study)
    assert shares["learning_rate"] > 0.95 and sum(shares.values()) == pytest.approx(1)
    best = studies.best(study)
    assert best is not None and abs(math.log10(best.params["learning_rate"]) + 2) < 0.3


def test_a_first_setting_that_fails_ends_the_search(
    stub: None,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STUB_FAIL", "0.1")
    assert tune.main(words_of(tmp_path, 2)) == 7
    said = capsys.readouterr().err
    log = tmp_path / "search" / "trials" / "0000.log"
    assert f"trial 0 ended with exit code 7: error: as asked; log: {log}" in said
    monkeypatch.delenv("STUB_FAIL")
    assert tune.main(words_of(tmp_path, 1)) == 0  # tried again, and not counted
    assert "best of 1 trials: number 1" in capsys.readouterr().out


def test_a_killed_search_goes_on(
    stub: None,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By SIGKILL in its first trial and by SIGTERM in the one that takes its place."""
    words, folder = words_of(tmp_path, 3), tmp_path / "search" / "trials"
    code = "import sys; from imgrec.runs import child; child.TRAINER = 'stub_trainer'\n"
    code += "from pipelines import tune, cli; cli.guarded(lambda: tune.main(sys.argv[1:]))"
    for how, exit_code, log in (
        (signal.SIGKILL, -9, folder / "0000.log"),
        (signal.SIGTERM, 143, folder / "0001.log"),
    ):
        slow = {**os.environ, "STUB_SECONDS": "60"}
        parent = subprocess.Popen([sys.executable, "-c", code, *words], env=slow, stdout=subprocess.DEVNULL)
        waits_for(lambda: log.exists() and len(starts(log)) == 1)  # noqa: B023
        parent.send_signal(how)
        assert parent.wait(60) == exit_code
        waits_for(lambda: not is_alive(starts(log)[0]))  # noqa: B023
    assert tune.main(words) == 0
    study = optuna.load_study(study_name="imgrec", storage=f"sqlite:///{tmp_path / 'search' / 'study.db'}")
    states = [trial.state.name for trial in study.trials]
    assert states[:3] == ["FAIL", "FAIL", "COMPLETE"] and len(states) == 5
    assert set(states[3:]) <= {"COMPLETE", "PRUNED"}
    assert [trial.params["learning_rate"] for trial in study.trials[:3]] == [0.1] * 3
    assert [trial.user_attrs.get("again") for trial in study.trials[:3]] == [None, 0, 1]
    assert "best of 3 trials" in capsys.readouterr().out
    assert not list(folder.glob("*.unfinished"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "0"], "--trials 0: expected 1 or more"),
        (["--fold", "1/2"], "for one training"),
        (["--space", "absent.yaml"], "--space absent.yaml: no such file"),
        (["--storage", "nodb://x"], "--storage nodb://x: cannot be opened"),
        (["--trails", "3"], "did you mean --trials"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        tune.main(["--out", str(tmp_path / "search"), *words])
    assert message in str(error.value)


@pytest.mark.slow
def test_two_real_trials(npz: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "search"
    assert tune.main(["--trials", "2", "--data", f"npz:{npz}", "--out", str(out), *TINY]) == 0
    study = optuna.load_study(study_name="imgrec", storage=f"sqlite:///{out / 'study.db'}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]
    for trial in study.trials:
        history = out / "trials" / f"{trial.number:04d}" / "history.csv"
        rows = list(csv.DictReader(history.read_text().splitlines()))
        assert trial.value == pytest.approx(float(rows[0]["val_accuracy"]))
    assert read_recipe(str(out / "best.yaml")).model.model == "lenet5"
