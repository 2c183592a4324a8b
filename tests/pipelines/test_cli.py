"""Flags, recipes and exit codes, as a user meets them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgrec.config import Config
from imgrec.errors import InputError
from pipelines.cli import guarded, parse, read_recipe, recipe_names, take_recipe


def test_flags_are_flat_and_change_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("optim: {epochs: 7, batch_size: 16}\nmodel: lenet5\n")
    config, rest = take_recipe(["--epochs", "3", "--recipe", str(recipe), "--no-flip"])
    config = parse(Config, rest, default=config)
    assert (config.optim.epochs, config.optim.batch_size) == (3, 16)
    assert (config.model.model, config.augment.flip) == ("lenet5", False)


def test_every_shipped_recipe_is_read() -> None:
    assert {"sample", "fashion_mnist"} <= set(recipe_names())
    for name in recipe_names():
        assert isinstance(read_recipe(name), Config)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epoch", "3"], "--epochs"),
        (["--epochs", "many"], "many"),
        (["--resize", "squash"], "letterbox"),
        (["stray"], "stray"),
    ],
)
def test_a_wrong_flag_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Config, words)
    assert message in str(error.value)
    assert "│" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [
                "--model",
                "resnet20",
                "--epochs",
                "3",
                "--model-options",
                "attention=cbam",
                "width=8",
                "--no-flip",
            ],
            '--model-options attention=cbam width=8: write --model "resnet20(attention=cbam, width=8)"',
        ),
        (["--model-options=attention=cbam"], '--model-options attention=cbam: write --model "lenet5(attent'),
        (["--schedule-options", "at=[3]", "--schedule=step"], 'write --schedule "step(at=[3])"'),
        (["--loss_options", "gamma=2", "--loss", "focal"], 'write --loss "focal(gamma=2)"'),
        (
            ["--embedding-loss", "triplet", "--embedding-options", "mining=semi_hard"],
            'write --embedding-loss "triplet(mining=semi_hard)"',
        ),
        (["--imbalance", "decoupled", "--imbalance-options", "share=.4"], '"decoupled(share=0.4)"'),
    ],
)
def test_flags_of_earlier_versions_are_refused_with_the_new_ones(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Config, words, default=Config().replace(model="lenet5"))
    assert message in str(error.value)


def test_an_unknown_recipe_names_the_known() -> None:
    with pytest.raises(InputError, match="unknown recipe 'sampel': did you mean sample"):
        read_recipe("sampel")
    with pytest.raises(InputError, match="no such file"):
        read_recipe("absent.yaml")


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    def bad() -> int:
        raise InputError("what came in,\nwhat was expected")

    with pytest.raises(SystemExit) as stop:
        guarded(bad)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: what came in, what was expected\n"
    with pytest.raises(SystemExit) as stop:
        guarded(lambda: None)
    assert stop.value.code == 0


@pytest.mark.parametrize("job", ["train", "predict", "crossval", "tune", "evaluate", "export", "compare"])
def test_help_needs_no_framework(job: str) -> None:
    """`--help` answers without TensorFlow, Keras, OpenCV or scikit-learn: that is what makes it quick."""
    code = (
        f"import sys, pipelines.{job} as job\n"
        "try: job.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'sklearn', 'matplotlib', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("--run", "--data", "RUN"))


def test_an_interrupted_command_says_so() -> None:
    code = "import time; from pipelines.cli import guarded\n"
    code += "print('up', flush=True); guarded(lambda: time.sleep(60))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1.0)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.decode().strip()) == (143, "terminated")
