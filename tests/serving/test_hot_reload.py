"""A server follows its store: versions change under load, broken ones are refused, and no request is lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear import LABELS, pictures
from servers import ROOT, Running, png, serving
from stores import make_run, scores
from test_held_under_load import Load, until

from imgrec.serving.store_source import is_canary_s
from imgrec.store import Store
from imgrec.store import golden as goldens

PICTURE = png(pictures(1)[0])
LINEAR = "run/exports/float32.tflite"


def asked(server: Running, key: str = "k") -> int:
    """Ask for an answer; return the seed of the version that gave it, by its probabilities."""
    return seed_of(server.json("/predict?top=3", PICTURE, X_Key=key))


def seed_of(answer: dict[str, Any]) -> int:
    given = {each["label"]: each["probability"] for each in answer["top"]}
    found = np.array([given[label] for label in LABELS])
    apart = [np.abs(scores(seed, pictures(1))[0] - found).max() for seed in range(5)]
    assert min(apart) < 1e-4
    return int(np.argmin(apart))


@pytest.fixture
def store(linear_file: Path, tmp_path: Path) -> Store:
    """A store of two versions, v0 and v1; v0 is active."""
    store = Store.create(tmp_path / "store")
    for seed in range(2):
        store.add(make_run(tmp_path / f"v{seed}", linear_file, seed))
    store.promote("v0")
    return store


def spoilt_manifest(folder: Path) -> None:
    (folder / "run" / "labels.txt").write_text("ant\nbee\ndog\n")


def cut_file(folder: Path) -> None:
    file = folder / "run" / "exports" / "float32.tflite"
    file.write_bytes(file.read_bytes()[:-100])


def other_answers(folder: Path) -> None:
    """As if another library, or another machine, computed otherwise: all digests are right."""
    entry = json.loads((folder / "version.json").read_text())
    held = goldens.read(folder, entry["golden"])
    changed = goldens.Golden(held.pictures, held.scores[::-1] + np.float32(0.001))
    (folder / "version.json").write_text(json.dumps({**entry, "golden": goldens.write(folder, changed)}))


def not_loading(folder: Path) -> None:
    """A whole run, by its manifest, whose file is none."""
    from imgrec import bundle
    from imgrec.serving.identity import identity

    (folder / "run" / "exports" / "float32.tflite").write_bytes(b"TFL3" * 100)
    bundle.write_manifest(folder / "run")
    entry = json.loads((folder / "version.json").read_text())
    digest = identity(folder / "run")[1]
    (folder / "version.json").write_text(json.dumps({**entry, "digest": digest}))


BROKEN: tuple[Callable[[Path], None], ...] = (spoilt_manifest, cut_file, other_answers, not_loading)


def give_role(store: Store, **roles: object) -> None:
    """Write store.json by hand: `promote` would refuse what is broken."""
    path = store.path / "store.json"
    temporary = path.with_name(".by-hand")
    temporary.write_text(json.dumps({**json.loads(path.read_text()), **roles}))
    temporary.rename(path)


def reload_under_load(store: Store, log: Path, runs: Callable[[int], Path], times: int) -> None:
    """Give the store's versions in turn, every second of them broken; none of the requests may fail."""
    with serving(store.path, log, "--workers", "2") as server, Load(server.port, 4) as load:
        until(lambda: load.statuses[200] > 50)
        active, swaps, before = "v0", 0, open_in(server)
        for turn in range(times):
            name = store.add(runs(turn), f"turn{turn}")
            if turn % 2:
                BROKEN[turn // 2 % len(BROKEN)](store.folder(name))
                until_now = sum(load.statuses.values())
                give_role(store, active=name)
                until(lambda name=name: f'_refused{{called="{name}"}} 1.0' in metrics(server))
                until(lambda seen=until_now: sum(load.statuses.values()) > seen + 20)
            else:
                store.promote(name)
                active, swaps = name, swaps + 1
            until(lambda swaps=swaps: f"swaps_total {swaps}.0" in metrics(server))
            assert server.json("/v2/models/store")["store"] == {"active": active}
            if turn > 1:
                shutil.rmtree(store.folder(f"turn{turn - 2}"))
        until(lambda: open_in(server) == before)  # no worker, living or dead, and no socket is left over
    assert set(load.statuses) == {200}, load.statuses
    said = log.read_text()
    assert said.count("is refused") == times // 2 and "Traceback" not in said, said
    assert load.slowest < 10
    print(f"{load.statuses[200]:,} answers, the slowest after {load.slowest:.2f} s, {swaps} swaps")


def open_in(server: Running) -> tuple[int, int]:
    """How many files and child processes a server has."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return len(os.listdir(f"/proc/{pid}/fd")), len(children)


def metrics(server: Running) -> str:
    return server.ask("/metrics")[2].decode()


def test_versions_change_under_load(store: Store, linear_file: Path, tmp_path: Path) -> None:
    reload_under_load(store, tmp_path / "log", maker(linear_file, tmp_path), 4)


def maker(linear_file: Path, tmp_path: Path) -> Callable[[int], Path]:
    return lambda turn: make_run(tmp_path / f"run{turn}", linear_file, 10 + turn)


@pytest.mark.slow
def test_fifty_reloads_under_load(store: Store, linear_file: Path, tmp_path: Path) -> None:
    reload_under_load(store, tmp_path / "log", maker(linear_file, tmp_path), 50)


def test_roles_are_followed(store: Store, tmp_path: Path) -> None:
    keys = [f"client-{number}" for number in range(40)]
    with serving(store.path, tmp_path / "log", "--workers", "1") as server:
        assert {asked(server, key) for key in keys[:5]} == {0}
        store.promote("v1", "canary", 0.5)
        until(lambda: 'called="v1"' in metrics(server))
        first = [asked(server, key) for key in keys]
        assert first == [asked(server, key) for key in keys] == [int(is_canary_s(k, 0.5)) for k in keys]
        held = server.json("/v2/models/store")
        assert len(held["versions"]) == 2 and held["store"] == {"active": "v0", "canary": "v1"}
        for version in (*held["versions"], "v0", "v1", held["versions"][1][:8]):
            assert server.json(f"/v2/models/store/versions/{version}")["platform"] == "tflite"
        assert server.ask("/v2/models/store/versions/..%2Fv1")[0] == 404
        store.promote("v1")
        until(lambda: {asked(server, key) for key in keys[:5]} == {1})
        until(lambda: 'called="v0"' not in metrics(server))
        assert store.rollback() == "v0"
        until(lambda: asked(server) == 0)
        code, last = server.stop()
        assert code == 0 and last.startswith("done: ")


def test_what_is_under_way_ends_with_the_version_that_it_began_with(store: Store, tmp_path: Path) -> None:
    head = b"POST /predict?top=3 HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)
    with serving(store.path, tmp_path / "log", "--workers", "1") as server:
        (old,) = server.workers()
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
            slow.sendall(head + PICTURE[:50])
            store.promote("v1")
            until(lambda: asked(server) == 1)
            assert old in server.workers(), "a request is on its way to it"
            slow.sendall(PICTURE[50:])
            back = b"".join(iter(lambda: slow.recv(65536), b""))
        assert seed_of(json.loads(back.partition(b"\r\n\r\n")[2])) == 0
        until(lambda: old not in server.workers())
        # A version that is not ready yet is given up when it is no longer wanted; it may hang for ever.
        (now,) = server.workers()
        store.promote("v0")
        until(lambda: len(server.workers()) == 2)
        (hanging,) = set(server.workers()) - {now}
        os.kill(hanging, signal.SIGSTOP)
        assert store.rollback() == "v1" and asked(server) == 1
        until(lambda: server.workers() == [now])
        assert metrics(server).count("_refused{") == 0
        assert server.stop()[0] == 0
    assert (tmp_path / "log").read_text() == "store: version v1 answers now, v0 did before\n"


def test_a_start_takes_the_last_version_that_can_be_served(store: Store, tmp_path: Path) -> None:
    store.promote("v1")
    cut_file(store.folder("v1"))
    with serving(store.path, tmp_path / "log", "--workers", "1") as server:
        assert asked(server) == 0 and '_refused{called="v1"} 1.0' in metrics(server)
        assert store.listed()[1].refused
        # Mended, it is tried again without another word.
        shutil.rmtree(store.folder("v1") / "run")
        shutil.copytree(tmp_path / "v1", store.folder("v1") / "run")
        until(lambda: asked(server) == 1)
        assert not store.listed()[1].refused
        # Another one under its name is another one.
        other = store.add(make_run(tmp_path / "other", store.folder("v0") / LINEAR, 3))
        give_role(store, active="v0")
        until(lambda: asked(server) == 0)
        store.remove("v1")
        give_role(store, active="v1", history=["v0"])
        until(lambda: '_refused{called="v1"} 1.0' in metrics(server))
        entry = json.loads((store.folder(other) / "version.json").read_text())
        (store.folder(other) / "version.json").write_text(json.dumps({**entry, "name": "v1"}))
        store.folder(other).rename(store.folder("v1"))
        until(lambda: asked(server) == 3)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_start_without_a_version_is_one_line(store: Store, tmp_path: Path) -> None:
    for line in ("version v0: ", "no version is active"):
        cut_file(store.folder("v0"))
        words = [sys.executable, "-m", "pipelines.serve", "--run", str(store.path), "--port", "0"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
        said = done.stderr.splitlines()
        assert done.returncode == 2 and said[-1].startswith("error: ") and line in said[-1], done.stderr
        give_role(store, active=None)
