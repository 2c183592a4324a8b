"""Hostile requests of every kind at once: refused or closed, nothing crashes, and others hardly notice."""

import http.client
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hostile import GOOD, Hostile, crowd, post
from servers import ROOT, Running, serving

AT_ONCE = 40
"""Hostile clients, some of which are slow."""
MANY, TURNS = 250, 4
RATE = 20.0
"""Requests a second of each well-behaved client."""
CLIENTS = 4
ATTACK = """
import sys
sys.path.insert(0, sys.argv[1])
from test_hostile_crowd import attack
attack(*map(int, sys.argv[2:5]), sys.argv[5], float(sys.argv[6]))
"""


def answered(port: int, hostile: Hostile) -> bytes:
    """Send a request as it is; return what comes back until the server closes the connection."""
    back = b""
    with socket.create_connection(("127.0.0.1", port), timeout=40) as connection:
        try:
            for part in hostile.parts:
                connection.sendall(part)
                time.sleep(hostile.pause)
            if hostile.ends:
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                back += data
        except (ConnectionError, BrokenPipeError):
            pass  # refused before all was sent
    return back


def verdict(back: bytes) -> str:
    """The status, closed, or what is wrong with an answer."""
    if re.search(rb"Traceback|File \\?\"|imgrec/|/tmp|site-packages", back):
        return "tells of the server"
    found = re.match(rb"HTTP/1\.1 (?:100 Continue\r\n\r\nHTTP/1\.1 )?(\d{3}) ", back)
    return found[1].decode() if found else "closed" if not back else "no HTTP"


def attack(port: int, many: int, seed: int, what: str, spread: float) -> None:
    """Send a crowd, or as many polite requests, within so many seconds; print how each kind was answered.

    Runs by itself. With 0 seconds they come as fast as they can, without the slow ones.
    """
    requests = [each for each in crowd(many, seed) if spread or each.kind != "slow sender"]
    if what == "polite":
        requests = [Hostile("polite", (post(GOOD),)) for _ in requests]
    results: Counter[tuple[str, str]] = Counter()
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    if what == "nobody":
        time.sleep(spread)
        return

    def send(index: int) -> None:
        hostile = requests[index]
        time.sleep(max(0, begun + index * spread / many - time.monotonic()))
        try:
            results[hostile.kind, verdict(answered(port, hostile))] += 1
        except TimeoutError:
            results[hostile.kind, "hangs"] += 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, range(len(requests))))
    for (kind, status), count in sorted(results.items()):
        print(f"{count}\t{status}\t{kind}")


@contextmanager
def attacker(port: int, seed: int, what: str, spread: float) -> Iterator["subprocess.Popen[str]"]:
    """A process of its own that is ready to attack, when it is sent a line."""
    given = (Path(__file__).parent, port, MANY, seed, what, spread)
    words = [sys.executable, "-c", ATTACK, *map(str, given)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process


def attacked(process: "subprocess.Popen[str]") -> dict[str, Counter[str]]:
    """Let it attack; return how often each kind was answered by what."""
    said, _ = process.communicate("go\n", timeout=300)
    assert process.returncode == 0
    found: dict[str, Counter[str]] = {}
    for line in said.splitlines():
        count, status, kind = line.split("\t")
        found.setdefault(kind, Counter())[status] += int(count)
    return found


class Polite:
    """Clients that each send a picture now and then, on a connection that they keep."""

    def __init__(self, port: int) -> None:
        self.seconds: list[float] = []
        self.statuses: Counter[int | str] = Counter()
        self._port, self._over = port, threading.Event()

    @contextmanager
    def asking(self) -> Iterator[list[float]]:
        """Ask as long as the block lasts; the list holds each answer's seconds."""
        self._over.clear()
        self.seconds = []
        threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self.seconds
        finally:
            self._over.set()
            for thread in threads:
                thread.join(timeout=60)

    def _ask(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            while not self._over.wait(1 / RATE):
                start = time.perf_counter()
                try:
                    connection.request("POST", "/predict", GOOD)
                    answer = connection.getresponse()
                    answer.read()
                    self.statuses[answer.status] += 1
                except OSError:
                    self.statuses["closed"] += 1
                    connection.close()
                self.seconds.append(time.perf_counter() - start)


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]


def check(server: Running, found: dict[str, Counter[str]], least: int, workers: list[int]) -> None:
    """Every request was refused or its connection closed, and nobody died of it."""
    assert sum(sum(each.values()) for each in found.values()) >= least
    for kind, statuses in found.items():
        allowed = {"400", "404", "405", "408", "413", "415", "429", "431", "closed"}
        assert set(statuses) <= allowed, (kind, statuses)
    assert server.workers() == workers and b"imgrec_workers_died 0.0" in server.ask("/metrics")[2]
    assert "Traceback" not in server.errors.read_text()


def test_a_hostile_crowd_is_turned_away(linear_file: Path, tmp_path: Path) -> None:
    with serving(linear_file, tmp_path / "log", "--workers", "2") as server:
        workers = server.workers()
        requests = [each for each in crowd(110, 3) if each.kind != "slow sender"]
        found: dict[str, Counter[str]] = {}
        for each in requests:
            found.setdefault(each.kind, Counter())[verdict(answered(server.port, each))] += 1
        check(server, found, len(requests), workers)
        assert server.ask("/predict", GOOD)[0] == 200
        # Large pictures within the limits take long where the threads that shrink them wait for each other.
        assert all(b"OPENBLAS_NUM_THREADS=" in Path(f"/proc/{pid}/environ").read_bytes() for pid in workers)


@dataclass
class Measured:
    """What polite clients felt, by what went on beside them."""

    server: Running
    polite: Polite
    seconds: dict[str, list[float]] = field(default_factory=dict)
    found: dict[str, Counter[str]] = field(default_factory=dict)

    def beside(self, name: str, seed: int, what: str, spread: float) -> None:
        port = self.server.port
        with attacker(port, seed, what, spread) as process, self.polite.asking() as measured:
            answers = attacked(process)
        self.seconds.setdefault(name, []).extend(measured)
        for kind, statuses in answers.items():
            if what == "hostile":
                self.found.setdefault(kind, Counter()).update(statuses)

    def lines(self) -> Iterator[str]:
        for name, each in self.seconds.items():
            p50, last = 1e3 * statistics.median(each), 1e3 * p99(each)
            yield f"{name}: {len(each):,} answers, p50 {p50:.1f} ms, p99 {last:.1f} ms"
        for name, other in (("crowd", "alone"), ("crowd", "company"), ("flood", "flood of good ones")):
            yield f"p99, {name} / {other}: {p99(self.seconds[name]) / p99(self.seconds[other]):.2f}"


@pytest.mark.slow
def test_a_thousand_hostile_requests_harm_nobody(linear_file: Path, tmp_path: Path) -> None:
    with serving(linear_file, tmp_path / "log", "--workers", "2") as server:
        workers, polite = server.workers(), Polite(server.port)
        measured = Measured(server, polite)
        for seed in range(TURNS):
            measured.beside("alone", seed, "nobody", 12)
            measured.beside("crowd", seed, "hostile", 12)
            measured.beside("company", seed, "polite", 12)
            measured.beside("flood", seed + TURNS, "hostile", 0)
            measured.beside("flood of good ones", seed, "polite", 0)
        for kind, statuses in sorted(measured.found.items()):
            print(f"{kind}: {dict(statuses)}")
        print(*measured.lines(), f"polite clients got {dict(polite.statuses)}", sep="\n")
        check(server, measured.found, 1000, workers)
        assert set(polite.statuses) == {200}, polite.statuses
        assert p99(measured.seconds["crowd"]) < 3 * p99(measured.seconds["alone"])
        assert server.stop()[0] == 0
