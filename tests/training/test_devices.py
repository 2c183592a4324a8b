"""The same training on one device, on two, and on two hosts: the same order, the same weights."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from devices import EPOCHS, STEPS, write_data

from imgrec import runtime, workers
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning import conflicts, methods
from imgrec.workers import Team

ROOT = Path(__file__).parents[2]
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    write_data(folder / "data.npz")
    return folder


@pytest.fixture(scope="module")
def one(folder: Path) -> Arrays:
    """What a training on one device came to."""
    finish(start(folder, "one", 1, "none"))
    return outcome(folder, "one")


def start(
    folder: Path,
    name: str,
    devices: int,
    strategy: str,
    pause: float = 0,
    settings: Sequence[str] = (),
    **more: str,
) -> subprocess.Popen:
    words = [str(folder), name, str(devices), strategy, str(pause), *settings]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.devices", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests/training")]), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_workers(folder: Path, name: str, pause: float = 0, **more: str) -> list[subprocess.Popen]:
    """Two workers on this machine, at ports that are free now."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]}
    return [
        start(
            folder,
            name,
            1,
            "multiworker",
            pause,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
            **more,
        )
        for index in (0, 1)
    ]


def finish(*processes: subprocess.Popen) -> list[str]:
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return [out for out, _ in said]


def outcome(folder: Path, name: str, index: int = 0) -> Arrays:
    with np.load(folder / f"{name}.{index}.npz") as held:
        return dict(held)


def assert_close(left: Arrays, right: Arrays, within: float) -> None:
    assert left.keys() == right.keys()
    for key in left.keys() - {"losses"}:
        np.testing.assert_allclose(left[key], right[key], rtol=0, atol=within, err_msg=key)


def test_two_devices_of_a_machine_train_as_one(folder: Path, one: Arrays) -> None:
    finish(start(folder, "mirrored", 2, "mirrored"))
    two = outcome(folder, "mirrored")
    assert len(one["losses"]) == EPOCHS * STEPS
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    assert_close(two, one, 1e-5)


@pytest.mark.slow
def test_two_devices_learn_from_a_teacher_as_one(folder: Path) -> None:
    """A loss of one's own that Keras does not scale by the devices would count twice."""
    finish(start(folder, "teacher", 1, "none"))
    taught = [f"teacher={folder / 'teacher'}", "method=distill(hint=features)"]
    finish(start(folder, "taught", 1, "none", settings=taught))
    finish(start(folder, "taught_mirrored", 2, "mirrored", settings=taught))
    one, two = outcome(folder, "taught"), outcome(folder, "taught_mirrored")
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    assert_close(two, one, 1e-5)


def test_two_hosts_train_as_one(folder: Path, one: Arrays) -> None:
    chief, other = finish(*start_workers(folder, "hosts"))
    assert "done: " in chief and "worker 1: done" in other
    first, second = (outcome(folder, "hosts", index) for index in (0, 1))
    assert_close(first, second, 0)
    assert_close(first, one, 1e-5)


@pytest.mark.slow
def test_jax_trains_over_devices_and_over_processes_as_on_one(folder: Path) -> None:
    jax = {"KERAS_BACKEND": "jax"}
    finish(start(folder, "jax", 1, "none", **jax))
    one = outcome(folder, "jax")
    finish(start(folder, "jax_devices", 2, "auto", **jax))
    two = outcome(folder, "jax_devices")
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    assert_close(two, one, 1e-5)
    chief, other = finish(*start_workers(folder, "jax_hosts", **jax))
    assert "done: " in chief and "worker 1: done" in other
    first, second = (outcome(folder, "jax_hosts", index) for index in (0, 1))
    assert_close(first, second, 0)
    assert_close(first, one, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("lost", [0, 1])
def test_the_others_stop_when_a_host_is_lost_and_all_go_on(
    folder: Path, one: Arrays, lost: int, backend: str
) -> None:
    name, keras = f"{backend}_lost{lost}", {"KERAS_BACKEND": backend}
    both = start_workers(folder, name, pause=0.2, **keras)
    assert all(_says(process, "step 7") for process in both)
    both[lost].kill()
    both[lost].communicate()
    _, why = both[1 - lost].communicate(timeout=120)
    if backend == "jax" and not lost:  # JAX itself ends a process whose coordinator is gone
        assert both[1].returncode == -signal.SIGABRT and "another task died" in why
    else:
        assert both[1 - lost].returncode == 1
        assert "another one does not answer" in why and "Traceback" not in why
    finish(*start_workers(folder, name, **keras))
    first, second = (outcome(folder, name, index) for index in (0, 1))
    assert 0 < len(first["losses"]) < EPOCHS * STEPS, "began anew"
    assert_close(first, second, 0)
    if backend == "tensorflow":  # the other begins with other weights
        assert_close(first, one, 1e-5)


@pytest.mark.slow
def test_a_host_that_is_told_to_end_ends_all_at_the_same_step(folder: Path, one: Arrays) -> None:
    both = start_workers(folder, "told", pause=0.2)
    assert all(_says(process, "step 5") for process in both)
    both[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [143, 143], said
    finish(*start_workers(folder, "told"))
    assert_close(outcome(folder, "told"), one, 1e-5)


def _says(process: subprocess.Popen, line: str) -> bool:
    """Wait for a line."""
    assert process.stdout
    return any(said.strip() == line for said in process.stdout)


def test_a_team_of_one_agrees_with_itself() -> None:
    team = Team()
    team.same("anything", "x")
    team.meet()
    with team.together():
        assert team.any(True, False) == (True, False)
    assert team.is_chief and team.size == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "TF_CONFIG is not set"),
        ("{", "expected workers"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "expected workers"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "expected workers"),
    ],
)
def test_hosts_must_be_named(monkeypatch: pytest.MonkeyPatch, text: str | None, message: str) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message):
        workers.join()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preview": 3}, "--preview 3: one host"),
        ({"lr_find": True}, "--lr-find: one host"),
        ({"freeze": "backbone"}, "--freeze backbone: features"),
    ],
)
def test_what_one_host_does_alone_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config = Config().replace(strategy="multiworker", **values)
        conflicts.check(config, methods.choose(config))


class _Devices:
    num_replicas_in_sync = 4


def test_validation_is_split_evenly_under_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.even_images(30, _Devices()) == 30  # TensorFlow's strategies split what is left as it comes
    monkeypatch.setattr(runtime, "backend", lambda: "jax")
    assert [runtime.even_images(n, _Devices()) for n in (4, 30, 32)] == [4, 28, 32]
    assert runtime.even_images(3, None) == 3
    with pytest.raises(InputError, match="3 validation images: fewer than the 4 devices"):
        runtime.even_images(3, _Devices())


def test_a_batch_is_split_evenly() -> None:
    assert runtime.even_batch(50, 30, None) == 30
    assert runtime.even_batch(64, 1000, _Devices()) == 64
    assert runtime.even_batch(64, 30, _Devices()) == 16  # 2 steps, for 32 are more than there are
    assert runtime.even_batch(128, 182, None) == 91
    assert runtime.even_batch(128, 182, _Devices()) == 92
    assert runtime.even_batch(128, 384, _Devices()) == 128
    with pytest.raises(InputError, match="48 or 52 does"):
        runtime.even_batch(50, 1000, _Devices())
    with pytest.raises(InputError, match="over 4 devices; 4 does"):
        runtime.even_batch(2, 1000, _Devices())
    with pytest.raises(InputError, match="fewer than the 4 devices"):
        runtime.even_batch(64, 3, _Devices())
