"""A store of versions: roles and the way back, names that are paths, two processes, kills at any moment."""

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from linear import PREPROCESS, pictures
from servers import ROOT
from stores import make_run, scores

from imgrec import bundle
from imgrec.errors import InputError
from imgrec.store import State, Store
from imgrec.store import golden as goldens
from imgrec.store import pictures as sources


@pytest.fixture(scope="module")
def runs(linear_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three finished runs; nobody changes them."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / f"v{seed}", linear_file, seed) for seed in range(3)]


@pytest.fixture
def store(runs: list[Path], tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "store")
    assert [store.add(run) for run in runs] == ["v0", "v1", "v2"]
    return store


def roles(store: Store) -> dict[str, str]:
    return {row.entry.name: row.role for row in store.listed() if row.role}


def command(*words: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "pipelines.store", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_version_is_a_whole_copy_with_its_answers(store: Store, runs: list[Path]) -> None:
    shown = store.verify("v1")
    assert (store.folder("v1") / "run" / "manifest.json").read_bytes() == (
        runs[1] / "manifest.json"
    ).read_bytes()
    images = np.stack([PREPROCESS.on_bytes(each) for each in shown.pictures])
    assert len(images) == goldens.MANY and np.abs(shown.scores - scores(1, images)).max() < 1e-4
    assert len(np.unique(shown.scores.round(3), axis=0)) > 8, "pictures that all look alike pin nothing"
    assert store.add(runs[1]) == "v1" and len(store.names()) == 3, "added twice"
    with pytest.raises(InputError, match="in the store already, as v1"):
        store.add(runs[1], "other")
    store.remove("v0")
    with pytest.raises(InputError, match="another version has it"):
        store.add(runs[0], "v1")


def test_one_file_of_a_run_answers(store: Store, runs: list[Path]) -> None:
    name = store.add(runs[0] / "exports" / "float32.tflite")
    assert name == "v0-2" and store.served(name).name == "float32.tflite"
    assert store.entry(name).digest != store.entry("v0").digest
    lone = shutil.copy(runs[0] / "exports" / "float32.tflite", store.path.parent / "lone.tflite")
    with pytest.raises(InputError, match="lies in no run folder"):
        store.add(lone)


def test_what_is_not_whole_is_not_added(store: Store, runs: list[Path], tmp_path: Path) -> None:
    spoilt = shutil.copytree(runs[0], tmp_path / "spoilt")
    (spoilt / "labels.txt").write_text("ant\n")
    with pytest.raises(InputError, match="sha256 differs"):
        store.add(spoilt)
    broken = make_run(tmp_path / "broken", Path(runs[0] / "exports" / "float32.tflite"), 0)
    (broken / "exports" / "float32.tflite").write_bytes(b"TFL3 and nothing else")
    bundle.write_manifest(broken)
    with pytest.raises(InputError, match="not a TFLite file"):
        store.add(broken)
    assert store.names() == ["v0", "v1", "v2"] and not (store.path / "versions" / ".adding").exists()


def test_roles_and_the_way_back(store: Store) -> None:
    with pytest.raises(InputError, match="no version is active yet"):
        store.promote("v1", "canary")
    store.promote("v0")
    store.promote("v1", "canary", 0.25)
    store.promote("v2", "shadow")
    assert store.state == State("v0", "v1", 0.25, "v2") and roles(store)["v1"] == "canary"
    store.promote("v1")
    assert roles(store) == {"v1": "active", "v2": "shadow"} and store.state.history == ("v0",)
    store.promote("v1")
    assert store.state.history == ("v0",), "it was active already"
    store.promote("v2")
    assert store.rollback() == "v1" and store.rollback() == "v0"
    with pytest.raises(InputError, match="no version was active before v0"):
        store.rollback()
    store.promote("v1", "canary", 1)
    assert store.rollback("canary") == "v0" and store.state == State("v0")
    with pytest.raises(InputError, match="no version has that role"):
        store.rollback("canary")


def test_what_servers_refused_is_remembered_as_long_as_it_is_there(store: Store) -> None:
    for name in ("v0", "v1"):
        store.note(store.entry(name).digest, f"{name} is red")
    assert [row.refused for row in store.listed()] == ["v0 is red", "v1 is red", ""]
    store.remove("v0")
    store.note(store.entry("v1").digest, "")
    assert json.loads((store.path / "refused.json").read_text()) == {}


def test_a_removed_version_is_passed_over(store: Store) -> None:
    for name in ("v0", "v1", "v2"):
        store.promote(name)
    with pytest.raises(InputError, match="is the active version"):
        store.remove("v2")
    store.remove("v1")
    assert store.names() == ["v0", "v2"] and store.rollback() == "v0"
    with pytest.raises(InputError, match="no version v1; it has v0, v2"):
        store.remove("v1")


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_is_a_share(store: Store, share: float) -> None:
    store.promote("v0")
    with pytest.raises(InputError, match="--share"):
        store.promote("v1", "canary", share)


@pytest.mark.parametrize("name", ["../v0", "..", ".hidden", "a/b", "", "a" * 65, "a\n", "é", "-x", "v0\0"])
def test_a_name_is_no_path(store: Store, runs: list[Path], name: str) -> None:
    store.promote("v0")
    for ask in (store.entry, store.served, store.promote, store.remove, store.mark):
        with pytest.raises(InputError, match="expected a name"):
            ask(name)
    held = json.loads((store.path / "store.json").read_text())
    (store.path / "store.json").write_text(json.dumps({**held, "shadow": name}))
    if name:
        with pytest.raises(InputError, match="expected a name"):
            _ = store.state
        with pytest.raises(InputError, match="expected a name"):
            store.add(runs[0], name)


@pytest.mark.parametrize("where", [".", "run", "run/labels.txt", "run/exports"])
def test_links_are_refused(store: Store, tmp_path: Path, where: str) -> None:
    place = store.folder("v0") / where
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link"):
        store.promote("v0")


@pytest.mark.parametrize(
    "changes",
    [{"serves": "../../v1/run"}, {"serves": "/etc"}, {"name": "v1"}, {"rounding": "all"},
     {"digest": "0" * 64}, {"golden": "0" * 64}],
)  # fmt: skip
def test_a_changed_description_is_refused(store: Store, changes: dict[str, object]) -> None:
    file = store.folder("v0") / "version.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(InputError):
        store.promote("v0")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"format": 2}', '{"format": 1, "active": 3}', '{"format": 1, "canary": ["v0"]}',
     '{"format": 1, "canary": {"version": "v0", "share": 7}}', '{"format": 1, "history": {}}',
     '{"format": 1, "canary": {"version": "v0", "share": true}}', '{"format": 1, "history": [["v0"]]}'],
)  # fmt: skip
def test_a_damaged_state_is_one_line(store: Store, text: str) -> None:
    (store.path / "store.json").write_text(text)
    with pytest.raises(InputError, match=r"store\.json"):
        store.listed()


def test_the_command(runs: list[Path], tmp_path: Path) -> None:
    where = tmp_path / "store"
    done = command("add", where, runs[0], "--name", "first")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == f"done: {where / 'versions' / 'first'}"
    assert command("promote", where, "first").stdout.splitlines()[0] == "active: first"
    Store.open(where).note(Store.open(where).entry("first").digest, "it is red")
    listed = command("list", where).stdout.splitlines()
    assert "first" in listed[1] and "active" in listed[1] and "refused: it is red" in listed[1]
    held = json.loads(command("list", where, "--json").stdout)
    assert held["state"]["active"] == "first" and held["versions"][0]["refused"] == "it is red"
    refused = command("rollback", where)
    assert refused.returncode == 2 and refused.stderr.startswith("error: ")
    for words in (("list", tmp_path), ("add", tmp_path, runs[0]), ("promote", where, "second")):
        done = command(*words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


def test_golden_pictures_are_of_the_run_where_it_has_some(
    store: Store, linear_file: Path, tmp_path: Path
) -> None:
    given = pictures(30)
    split = {"x": given, "y": np.arange(30) % 3}
    np.savez(tmp_path / "data.npz", **split)
    photos = tmp_path / "photos"
    for index, pixels in enumerate(given):
        (photos / "ant").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(photos / "ant" / f"{index:02}.png"), pixels[..., ::-1])
    found = sources.from_folder(photos, PREPROCESS)
    wanted = np.linspace(0, 29, 12).round().astype(int)
    assert [PREPROCESS.on_bytes(each).tolist() for each in found] == given[wanted].tolist()
    (photos / "ant" / "00.png").write_bytes(b"no picture")
    assert len(sources.from_folder(photos, PREPROCESS)) == 12
    with pytest.raises(InputError, match="none of its 0 pictures"):
        sources.from_folder(store.path, PREPROCESS)
    for spec, ids in ((str(photos), "ant/03.png"), (f"npz:{tmp_path / 'data.npz'}", "train-00003")):
        run = tmp_path / "of_a_run"
        run.mkdir(exist_ok=True)
        (run / "run.json").write_text(json.dumps({"config": {"data": spec}}))
        (run / "predictions.csv").write_text(f"id,label\n{ids},ant\n../../etc/passwd,ant\nnobody,ant\n")
        (one,) = sources.of_run(run, PREPROCESS)
        assert (PREPROCESS.on_bytes(one) == given[3]).all()
    (run / "run.json").write_text(json.dumps({"config": {"data": "gone"}}))
    assert sources.of_run(run, PREPROCESS) == ()
    assert sources.chosen("auto", run, PREPROCESS) == (sources.drawn(PREPROCESS), "drawn")


WORK = """
import sys
from pathlib import Path
from imgrec.store import Store
from imgrec.errors import InputError
store, runs = Store.open(sys.argv[1]), sorted(Path(sys.argv[2]).glob("v*"))
print("ready", flush=True)
for turn in range(int(sys.argv[3])):
    name = store.add(runs[turn % len(runs)], f"{sys.argv[4]}{turn % len(runs)}")
    store.promote(name)
    for action in (store.rollback, lambda: store.remove(name), lambda: store.note("a" * 64, f"turn {turn}")):
        try:
            action()
        except InputError as error:
            assert "before" in str(error) or "is the active" in str(error), error
print("done", flush=True)
"""


def working(store: Store, runs: list[Path], turns: int, prefix: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", WORK, str(store.path), str(runs[0].parent), str(turns), prefix]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def check_whole(store: Store) -> None:
    for name in store.names():
        store.verify(name)
    assert set(store.state.roles().values()) <= set(store.names())
    store.listed()


def kill_at_work(runs: list[Path], folder: Path, times: int) -> None:
    store, rng = Store.create(folder / "store"), random.Random(8)
    store.promote(store.add(runs[0], "w0"))
    for _ in range(times):
        with working(store, runs, 10_000, "w") as process:
            time.sleep(rng.random() * 0.6)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        check_whole(store)
    with working(store, runs, 3, "w") as process:
        assert process.communicate(timeout=60)[0] == "done\n"
    check_whole(store)
    assert not {".adding", ".removing"} & {each.name for each in (store.path / "versions").iterdir()}


def test_a_killed_command_leaves_a_whole_store(runs: list[Path], tmp_path: Path) -> None:
    kill_at_work(runs, tmp_path, 5)


@pytest.mark.slow
def test_sixty_killed_commands_leave_a_whole_store(runs: list[Path], tmp_path: Path) -> None:
    kill_at_work(runs, tmp_path, 60)


def test_two_processes_change_a_store(runs: list[Path], tmp_path: Path, linear_file: Path) -> None:
    store = Store.create(tmp_path / "store")
    others = tmp_path / "others"
    for seed in (5, 6):
        make_run(others / f"v{seed}", linear_file, seed)
    with working(store, runs, 6, "a") as one, working(store, [others / "v5"], 6, "b") as two:
        assert one.communicate(timeout=60)[0] == two.communicate(timeout=60)[0] == "done\n"
    check_whole(store)


def test_promotions_of_two_processes_are_all_counted(store: Store) -> None:
    code = (
        "import sys; from imgrec.store import Store; store = Store.open(sys.argv[1])\n"
        "for _ in range(20): store.promote(sys.argv[2]); store.promote('v0')"
    )
    words = [sys.executable, "-c", code, str(store.path)]
    store.promote("v0")
    both = [subprocess.Popen([*words, name], cwd=ROOT) for name in ("v1", "v2")]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    history = store.state.history
    # v0 is promoted where it may be active already, then nothing changes; no change overwrote another
    assert history.count("v1") == history.count("v2") == 20
    assert all(one != other for one, other in itertools.pairwise(history))
