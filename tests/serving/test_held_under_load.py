"""What happens to requests when workers die, the server ends, clients are slow or too many."""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from linear import pictures
from servers import Running, png, serving

PICTURE = png(pictures(1)[0])


class Load:
    """Clients that ask one after the other, each on its connection, until they are told to end.

    statuses: how often each came; `closed` counts requests that were sent and got no answer.
    """

    def __init__(self, port: int, clients: int = 6) -> None:
        self.statuses: Counter[int | str] = Counter()
        self.slowest = 0.0
        self._port, self._over = port, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a request hangs"

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            self._ask_on(connection)

    def _ask_on(self, connection: http.client.HTTPConnection) -> None:
        while not self._over.is_set():
            try:
                connection.connect() if connection.sock is None else None
            except ConnectionRefusedError:  # the server has ended: nothing was accepted
                self.statuses["refused"] += 1
                return
            start = time.perf_counter()
            try:
                connection.request("POST", "/predict", PICTURE)
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
            except OSError:
                self.statuses["closed"] += 1
                connection.close()
            self.slowest = max(self.slowest, time.perf_counter() - start)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def kill_workers(linear_file: Path, log: Path, times: int) -> None:
    with serving(linear_file, log, "--workers", "2") as server, Load(server.port) as load:
        for turn in range(1, times + 1):
            until(lambda: b"imgrec_workers 2.0" in server.ask("/metrics")[2])
            before = sum(load.statuses.values())
            os.kill(server.workers()[0], signal.SIGKILL)
            until(lambda turn=turn: f"_died {turn}.0" in server.ask("/metrics")[2].decode())
            until(lambda before=before: sum(load.statuses.values()) > before + 20)
        until(lambda: b"imgrec_workers 2.0" in server.ask("/metrics")[2])
    assert set(load.statuses) <= {200, 503}, load.statuses
    assert load.statuses[503] <= 0.01 * load.statuses[200], load.statuses
    assert load.slowest < 10


def test_a_killed_worker_is_replaced_and_its_requests_are_answered(linear_file: Path, tmp_path: Path) -> None:
    kill_workers(linear_file, tmp_path / "log", 2)


@pytest.mark.slow
def test_twenty_killed_workers(linear_file: Path, tmp_path: Path) -> None:
    kill_workers(linear_file, tmp_path / "log", 20)


def end_under_load(linear_file: Path, log: Path) -> None:
    with serving(linear_file, log, "--workers", "2") as server:
        workers = server.workers()
        with Load(server.port) as load:
            until(lambda: load.statuses[200] > 100)
            code, last = server.stop()
            answered = load.statuses[200]
    assert code == 0 and last.startswith("done: ")
    assert int(last.split()[1].replace(",", "")) >= answered
    assert set(load.statuses) == {200, "refused"}, load.statuses
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert log.read_text() == ""


def test_nothing_is_lost_when_the_server_ends(linear_file: Path, tmp_path: Path) -> None:
    end_under_load(linear_file, tmp_path / "log")


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(20))
def test_nothing_is_lost_in_twenty_ends(linear_file: Path, tmp_path: Path, turn: int) -> None:
    end_under_load(linear_file, tmp_path / "log")


def test_workers_end_with_a_server_that_is_killed(linear_file: Path, tmp_path: Path) -> None:
    with serving(linear_file, tmp_path / "log", "--workers", "2") as server:
        workers = server.workers()
        server.process.kill()
        until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def stopped(server: Running) -> list[int]:
    """Let all workers stand still, as if an endless picture had come."""
    workers = server.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    return workers


def test_a_full_queue_and_a_deadline(linear_file: Path, tmp_path: Path) -> None:
    words = ("--workers", "1", "--queue", "1", "--deadline", "1")
    with serving(linear_file, tmp_path / "log", *words) as server:
        (worker,) = stopped(server)
        answers: list[tuple[int, str | None]] = []

        def ask() -> None:
            status, headers, _ = server.ask("/predict", PICTURE)
            answers.append((status, headers["Retry-After"]))

        threads = [threading.Thread(target=ask) for _ in range(80)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        counts = Counter(answers)
        assert set(counts) == {(504, None), (429, "1")}, counts
        # A worker that keeps a late request as long again is ended, and another answers.
        until(lambda: server.workers() not in ([], [worker]))
        until(lambda: server.ask("/predict", PICTURE)[0] == 200)


def sent(port: int, *parts: bytes, pause: float = 0.0, end: bool = False) -> bytes:
    """Send bytes as they are; return all that comes back until the server closes, or for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            if end:
                connection.shutdown(socket.SHUT_WR)
            back = b""
            while data := connection.recv(65536):
                back += data
            return back
        except ConnectionError:
            return back if "back" in locals() else b""


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNK = b"8000\r\n" + bytes(0x8000) + b"\r\n"
CLOSE = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def impatient(linear_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """A server that waits half a second for the rest of a request."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from imgrec.serving.server import Place, serve\nfrom imgrec.serving.limits import Limits\n"
        "from imgrec.serving.starting import plan_for\n"
        "limits = Limits(bytes=200_000, sending=0.5, connections=50)\n"
        f"serve(plan_for(Path({str(linear_file)!r}), 1), Place(port=0, limits=limits), "
        "lambda line: print(line, flush=True))\n"
    )
    log = tmp_path_factory.mktemp("impatient") / "log"
    with serving(linear_file, log, code=code) as server:
        yield server
        assert log.read_text() == ""


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (b"408", (HEAD % 100, b"x" * 50)),  # a body that is cut
        (b"408", (b"POST /predict HTTP/1.1\r\nHost",)),
        (b"408", ()),
        (b"400", (b"\x16\x03\x01\x02\x00\x01\x00\x01",)),  # TLS
        (b"400", (b"POST /predict HTTP/1.1\r\nContent-Length: -5\r\n\r\n",)),
        (b"400", (b"POST /predict HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n12345",)),
        (
            b"400",
            (b"POST /predict HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
        ),
        (b"413", (HEAD % (1 << 40),)),
        (b"413", (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", *[CHUNK] * 8)),
        (b"431", (b"POST /predict HTTP/1.1\r\n", *[b"X-%d: y\r\n" % k for k in range(10_000)], b"\r\n")),
        (b"431", (b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000,)),
        (b"431", (b"GET /" + b"y" * 100_000,)),
        (b"415", (CLOSE % 5, b"hello")),
        (b"400", (CLOSE % 8, b"\x89PNG\r\n\x1a\n")),
    ],
)  # fmt: skip
def test_hostile_requests_are_refused(impatient: Running, status: bytes, parts: tuple[bytes, ...]) -> None:
    back = sent(impatient.port, *parts)
    assert back[:13].startswith(b"HTTP/1.1 " + status) or (not back and status in (b"431", b"413")), back
    assert b"Traceback" not in back and b"imgrec/" not in back
    assert impatient.ask("/predict", PICTURE)[0] == 200


def test_a_client_that_leaves_harms_nobody(impatient: Running) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", impatient.port)) as connection:
            connection.sendall(HEAD % len(PICTURE) + PICTURE)
        with socket.create_connection(("127.0.0.1", impatient.port)) as connection:
            connection.sendall(HEAD % len(PICTURE) + PICTURE[:30])
    assert impatient.ask("/predict", PICTURE)[0] == 200


def test_requests_sent_ahead_are_answered_in_their_order(impatient: Running) -> None:
    heads = [b"POST /predict?top=%d HTTP/1.1\r\nContent-Length: %d\r\n" % (k, len(PICTURE)) for k in (1, 2)]
    last = b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n"
    back = sent(impatient.port, b"".join(head + b"\r\n" + PICTURE for head in heads) + last)
    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in back.split(b"HTTP/1.1 200")[1:]]
    assert [len(body.get("top", ())) for body in bodies] == [1, 2, 0] and bodies[2]["name"] == "imgrec"


def test_too_many_connections_are_turned_away(impatient: Running) -> None:
    held = [socket.create_connection(("127.0.0.1", impatient.port)) for _ in range(60)]
    time.sleep(0.2)
    refused = [connection.recv(1000) for connection in held[50:]]
    assert all(back.startswith(b"HTTP/1.1 503") for back in refused)
    for connection in held:
        connection.close()
    until(lambda: impatient.ask("/predict", PICTURE)[0] == 200)


def test_curl_waits_for_100_continue(impatient: Running) -> None:
    head = (HEAD % len(PICTURE)).replace(b"Host: x", b"Expect: 100-continue\r\nConnection: close")
    back = sent(impatient.port, head, PICTURE, pause=0.1)
    assert back.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_http_1_0_clients_may_stay(impatient: Running) -> None:
    head = b"POST /predict HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)
    back = sent(impatient.port, head + PICTURE, b"POST /predict HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    assert back.count(b"connection: keep-alive") == 1 and back.count(b"HTTP/1.1 ") == 2
