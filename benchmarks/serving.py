"""Requests a second over HTTP against decoding and LiteRT alone on the same processors, and against peers.

  python -m benchmarks.serving --run saved_models/sample/exports/qat_int8.tflite --pictures photos/
  python -m benchmarks.serving … --peers .venv-peers/bin/python      # FastAPI, LitServe: serving_peers.py

The load comes from ApacheBench (`ab`, Debian's apache2-utils). Everything, `ab` too, runs on the same two
processors and takes turns; a figure is the median over the rounds. `share` is the rate over that of processes
that do nothing but decode the same picture and run the file, one a processor; `counted` leaves out of the
processors' time what `ab` took of it. Where others use the machine, too, rates say little; `work` holds then:
processor time of a picture alone over that of a request in all of a server's processes.
"""

import contextlib
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import tyro

from imgrec.serving.predictor import Predictor

ROOT = Path(__file__).parents[1]
ALONE = """
import sys, time, cv2
from pathlib import Path
from imgrec.serving.predictor import Predictor
cv2.setNumThreads(1)
predictor = Predictor.load(Path(sys.argv[1]), threads=1)
data = Path(sys.argv[2]).read_bytes()
def answer():
    predictor.runtime.answer(predictor.preprocess.on_bytes(data)[None])
for _ in range(20):
    answer()
end, count, before = time.perf_counter() + float(sys.argv[3]), 0, time.process_time()
while time.perf_counter() < end:
    answer()
    count += 1
print(count / float(sys.argv[3]), (time.process_time() - before) / count)
"""


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    run: Path
    """A `.tflite` in a run folder's exports."""
    pictures: Path
    """A folder of JPEG files, of which the first is sent."""
    peers: Path = Path()
    """Python of an environment with FastAPI and LitServe."""
    rounds: int = 5
    """Turns of each."""
    seconds: float = 4.0
    """Of a turn."""
    clients: int = 16
    """Requests under way at once."""
    processors: int = 2
    """How many everything runs on."""


@dataclass(frozen=True)
class Load:
    """What `ab` saw of a server: requests a second, milliseconds, and the share of the processors it took.

    seconds: of processors that the server took for a request.
    """

    rate: float
    p50: float
    p99: float
    own: float
    seconds: float


def main(given: Arguments) -> None:
    """Measure and print."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: given.processors]))
    picture = min(given.pictures.glob("*.jp*g"))
    shape = Predictor.load(given.run).preprocess.shape
    print(f"{given.run}, {picture.stat().st_size:,} bytes, images of {shape}, {given.clients} clients")
    with contextlib.ExitStack() as held, tempfile.TemporaryDirectory() as folder:
        form = Path(folder) / "form"
        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        form.write_bytes(head + picture.read_bytes() + b"\r\n--x--\r\n")
        raw = (picture, "image/jpeg")
        sides = {"ours": (*held.enter_context(ours(given)), *raw)}
        if given.peers != Path():
            for name, body in (("fastapi", raw), ("litserve", (form, "multipart/form-data; boundary=x"))):
                sides[name] = (*held.enter_context(peer(name, given)), *body)
        alone: list[tuple[float, float]] = []
        loads: dict[str, list[Load]] = {name: [] for name in sides}
        for _ in range(given.rounds):
            alone.append(by_itself(given, picture))
            for name, side in sides.items():
                loads[name].append(under_load(given, *side))
        told(alone, loads)


def told(alone: Sequence[tuple[float, float]], loads: dict[str, list[Load]]) -> None:
    """Print a line for each side."""
    rates = [rate for rate, _ in alone]
    took = statistics.median(seconds for _, seconds in alone)
    print(
        f"alone      {statistics.median(rates):8.0f} a second ({min(rates):.0f} to {max(rates):.0f}), "
        f"{1e6 * took:.0f} µs of a processor each"
    )
    for name, seen in loads.items():
        shares = [load.rate / rate for load, rate in zip(seen, rates, strict=True)]
        counted = [share / (1 - load.own) for share, load in zip(shares, seen, strict=True)]
        works = [seconds / load.seconds for load, (_, seconds) in zip(seen, alone, strict=True)]
        rate, p50, p99, own = (
            statistics.median(getattr(load, each) for load in seen) for each in ("rate", "p50", "p99", "own")
        )
        print(
            f"{name:<10} {rate:8.0f} a second, p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
            f"share {statistics.median(shares):.2f}, ab took {own:.2f}, "
            f"counted {statistics.median(counted):.2f} ({min(counted):.2f} to {max(counted):.2f}), "
            f"work {statistics.median(works):.2f} ({min(works):.2f} to {max(works):.2f})"
        )


def by_itself(given: Arguments, picture: Path) -> tuple[float, float]:
    """Return pictures a second of one process a processor that decode and run the file, and one's seconds."""
    words = [sys.executable, "-c", ALONE, str(given.run), str(picture), str(given.seconds)]
    running = [
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(given.processors)
    ]
    said = [[float(word) for word in process.communicate()[0].split()] for process in running]
    return sum(rate for rate, _ in said), statistics.mean(seconds for _, seconds in said)


def under_load(given: Arguments, pid: int, port: int, body: Path, kind: str) -> Load:
    """Let `ab` ask for a while, on connections that stay."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    begun = sum(sum(each.cpu_times()[:2]) for each in processes)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["ab", "-q", "-k", "-c", str(given.clients), "-t", str(given.seconds), "-n", "9999999"]
    address = f"http://127.0.0.1:{port}/predict"
    said = subprocess.run(
        [*words, "-p", str(body), "-T", kind, address], capture_output=True, text=True
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = sum(sum(each.cpu_times()[:2]) for each in processes) - begun
    failed = re.search(r"Non-2xx responses:\s+(\d+)", said)
    if failed or "Requests per second" not in said:
        raise SystemExit(f"port {port}: {said}")
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    took = float(re.search(r"Time taken for tests:\s+([\d.]+)", said)[1])  # type: ignore[index]
    rate, p50, p99 = (
        float(re.search(pattern, said)[1])  # type: ignore[index]
        for pattern in (r"Requests per second:\s+([\d.]+)", r" 50%\s+(\d+)", r" 99%\s+(\d+)")
    )
    return Load(rate, p50, p99, own / took / given.processors, seconds / (rate * took))


@contextlib.contextmanager
def ours(given: Arguments) -> Iterator[tuple[int, int]]:
    """Serve as `pipelines.serve` does by default; give process id and port."""
    words = [sys.executable, "-m", "pipelines.serve", "--run", str(given.run), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            print(line.strip())
            yield process.pid, int(line.strip().rpartition(":")[2])
        finally:
            process.terminate()


@contextlib.contextmanager
def peer(name: str, given: Arguments) -> Iterator[tuple[int, int]]:
    """Serve the same file by a peer; give process id and port."""
    port = {"fastapi": 18_251, "litserve": 18_252}[name]
    script = str(ROOT / "benchmarks" / "serving_peers.py")
    words = [str(given.peers), script, name, str(given.run.resolve()), str(port)]
    with subprocess.Popen([*words, str(given.processors)], start_new_session=True) as process:
        try:
            wait_for(port)
            yield process.pid, port
        finally:
            os.killpg(process.pid, 15)


def wait_for(port: int) -> None:
    """Wait until somebody listens, and a little longer."""
    import socket

    end = time.monotonic() + 120
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            time.sleep(5)
            return
        time.sleep(0.2)
    raise SystemExit(f"port {port}: nobody listens")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
