"""(slow, ten minutes) More clients than the server can answer, asking as fast as they can."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import cv2
import pytest
from linear import pictures
from servers import Running, serving

SECONDS, CLIENTS = 600, 400
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("ab"), reason="no ApacheBench here (apache2-utils)"),
]


def memory(server: Running) -> int:
    """Kilobytes in memory of the server and its workers."""
    texts = (Path(f"/proc/{pid}/status").read_text() for pid in (server.process.pid, *server.workers()))
    return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in texts)  # type: ignore[index]


def statuses(server: Running) -> dict[int, int]:
    """How often each status came, by the server's own count."""
    text = server.ask("/metrics")[2].decode()
    found = re.findall(r'^imgrec_requests_total\{route="predict",status="(\d+)"\} ([\d.e+]+)', text, re.M)
    return {int(status): int(float(count)) for status, count in found}


def test_ten_minutes_of_too_much(linear_file: Path, tmp_path: Path) -> None:
    # Large, so that workers are what there is too little of; small ones keep the server's process busier.
    picture = tmp_path / "picture.jpg"
    pixels = cv2.resize(pictures(1)[0], (1200, 900), interpolation=cv2.INTER_LINEAR)
    picture.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    with serving(linear_file, tmp_path / "log", "--workers", "2") as server:
        words = ["ab", "-q", "-k", "-r", "-c", str(CLIENTS), "-t", str(SECONDS), "-n", "99999999"]
        words += ["-p", str(picture), "-T", "image/jpeg", f"http://127.0.0.1:{server.port}/predict"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as load:
            time.sleep(SECONDS / 10)
            early, held = memory(server), []
            while load.poll() is None:
                held.append(memory(server))
                time.sleep(1)
            said = load.communicate()[0]
        counts = statuses(server)
        print(f"{counts}, {early:,} kB after a tenth, at most {max(held):,} kB, workers {server.workers()}")
        complete = int(re.search(r"Complete requests:\s+(\d+)", said)[1])  # type: ignore[index]
        lost = re.search(r"\(Connect: (\d+), Receive: (\d+), Length: \d+, Exceptions: (\d+)\)", said)
        assert set(counts) <= {200, 429, 504} and min(counts.get(200, 0), counts.get(429, 0)) > 0
        assert not lost or {*lost.groups()} == {"0"}, said
        assert complete <= sum(counts.values()) <= complete + CLIENTS  # those under way when ab ended
        assert max(held) <= 1.05 * early
        assert server.stop()[0] == 0
    assert (tmp_path / "log").read_text() == ""
