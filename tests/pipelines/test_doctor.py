"""What the doctor says: of machines made up here, and (slow) of this one."""

import copy
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from imgrec import frameworks
from imgrec.runs import probes
from imgrec.runs.doctor import advice_on, faults_of
from pipelines import doctor

SOUND: dict[str, Any] = {
    "python": {"version": "3.12.1", "executable": "/usr/bin/python3", "supported": True},
    "machine": {"system": "Linux", "processor": "Xeon", "features": ["AVX2"], "cores": 2, "memory": 16e9,
                "disk_free": 90e9},
    "packages": [
        {"name": "tensorflow", "wanted": "<2.22,>=2.21", "extra": "", "version": "2.21.0", "fits": True},
        {"name": "optuna", "wanted": "<6,>=5.0", "extra": "tune", "version": "5.0.0", "fits": True},
    ],
    "tensorflow": {"version": "2.21.0", "cuda": "12.5", "gpus": [], "strategy": "CPU, 2 cores",
                   "precision": "float32"},
    "jax": {"version": "0.10.2", "devices": ["cpu: cpu"]},
    "keras_backend": "tensorflow",
    "caches": {"folder": "/home/me/.cache/imgrec", "refused": ""},
    "nvidia": [],
    "tpu": False,
}  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    """`SOUND` with changes by path: `machine__memory=1`."""
    facts = copy.deepcopy(SOUND)
    for path, value in changes.items():
        place: Any = facts
        *way, last = path.split("__")
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value
    return facts


@pytest.mark.parametrize(
    ("changes", "faults", "advice"),
    [
        ({}, [], []),
        ({"python__supported": False}, ["Python 3.12.1: expected 3.11 or 3.12"], []),
        (
            {"packages__0__fits": False, "packages__0__version": "2.19.1"},
            ["tensorflow 2.19.1: pip install 'tensorflow<2.22,>=2.21'"],
            [],
        ),
        ({"packages__1__fits": False}, [], ["for pipelines.tune: pip install 'imgrec[tune]'"]),
        ({"tensorflow": {"error": "ImportError: no AVX"}}, ["cannot be used: ImportError: no AVX"], []),
        ({"keras_backend": "torch"}, ["needs KERAS_BACKEND=tensorflow, or jax"], []),
        ({"keras_backend": "jax"}, [], []),
        (
            {"nvidia": ["Tesla T4"]},
            [],
            ["TensorFlow sees none of Tesla T4: pip install 'tensorflow[and-cuda]<2.22,>=2.21'"],
        ),
        ({"nvidia": ["Tesla T4"], "tensorflow__gpus": ["Tesla T4"]}, [], []),
        ({"tpu": True}, [], ["TensorFlow 2.21.0 cannot use it"]),
        ({"machine__memory": 2e9, "machine__disk_free": 1e9}, [], ["little memory", "little free disk"]),
        ({"machine__memory": 0}, [], []),
        (
            {"caches": {"folder": "/tmp/imgrec-7", "refused": "/.cache/imgrec cannot be written"}},
            [],
            ["caches go to /tmp/imgrec-7"],
        ),
    ],
)
def test_what_is_wrong_comes_with_what_mends_it(
    changes: dict[str, Any],
    faults: list[str],
    advice: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = changed(**changes)
    for found, expected in ((faults_of(facts), faults), (advice_on(facts), advice)):
        assert len(found) == len(expected)
        for line, words in zip(found, expected, strict=True):
            assert words in line
    monkeypatch.setattr(probes, "gather", lambda: facts)
    assert doctor.main([]) == (1 if faults else 0)
    assert capsys.readouterr().out.count("fault: ") == len(faults)
    assert doctor.main(["--json"]) == (1 if faults else 0)
    assert json.loads(capsys.readouterr().out)["machine"] == facts["machine"]


def test_the_requirements_are_those_of_setup_cfg() -> None:
    rows = {(row["extra"], row["name"]): row for row in probes.packages()}
    assert {"tensorflow", "keras", "scikit-learn"} <= {name for extra, name in rows if not extra}
    assert ("tune", "optuna") in rows and not any(extra == "dev" for extra, _ in rows)
    keras = rows["", "keras"]
    assert keras["version"] == metadata.version("keras") and keras["fits"]
    # Where there is no working tree, the same comes from the installed package.
    installed = probes.requirements(Path("absent.cfg"))
    assert any(line.startswith("tensorflow") for extra, line in installed if not extra)
    assert any(extra == "pretrained" for extra, _ in installed)


def test_a_probe_that_fails_says_why() -> None:
    assert probes.probe("print('noise'); print('{\"a\": 1}')") == {"a": 1}
    assert probes.probe("import absent_module") == {
        "error": "ModuleNotFoundError: No module named 'absent_module'"
    }
    died = probes.probe("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert died == {"error": "ended by signal 4: not built for this processor?"}


def test_keras_backend_is_found_as_keras_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert frameworks.keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert frameworks.keras_backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert frameworks.keras_backend() == "torch"


@pytest.mark.slow
def test_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tensorflow"]["version"] == metadata.version("tensorflow")
    assert facts["jax"]["version"] == metadata.version("jax")
    assert facts["python"]["executable"] == sys.executable and facts["machine"]["cores"] >= 1
