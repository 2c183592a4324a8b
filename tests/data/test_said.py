"""What C libraries print of files does not reach the terminal; what Python says does."""

import os
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgrec.data.audit.examine import Limits
from imgrec.data.audit.pool import examine_files
from imgrec.data.decode import decode
from imgrec.data.said import unsaid

PIXELS = np.random.default_rng(2).integers(0, 256, (40, 40, 3), np.uint8)
linux = pytest.mark.skipif(sys.platform != "linux", reason="C's stderr is a variable of glibc")


def noisy_png() -> bytes:
    """A PNG with a colour profile that libpng warns of."""
    data = cv2.imencode(".png", PIXELS)[1].tobytes()
    body = b"iCCP" + b"x\0\0" + zlib.compress(b"no profile")
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return data[:33] + chunk + data[33:]


def noisy_jpeg() -> bytes:
    """A JPEG with bytes too many before its end, of which libjpeg says so."""
    data = cv2.imencode(".jpg", PIXELS)[1].tobytes()
    return data[:-2] + bytes(range(1, 101)) + data[-2:]


@linux
def test_decoding_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for data in (noisy_png(), noisy_jpeg()):
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    said = capfd.readouterr().err
    assert "iCCP" in said and "Corrupt JPEG data: " in said  # they do make noise
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda data: decode(data, 10**6), [noisy_png(), noisy_jpeg()] * 20))
    assert capfd.readouterr().err == ""
    cv2.imdecode(np.frombuffer(noisy_jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert "Corrupt JPEG" in capfd.readouterr().err  # and C's stream is back


def test_python_is_heard_meanwhile(capfd: pytest.CaptureFixture[str]) -> None:
    with unsaid():
        thread = threading.Thread(target=lambda: os.write(2, b"from a thread\n"))
        thread.start()
        thread.join()
        print("from here", file=sys.__stderr__, flush=True)
        subprocess.run([sys.executable, "-c", "import sys; print('child', file=sys.stderr)"], check=True)
    said = capfd.readouterr().err
    assert "from a thread" in said and "child" in said


@linux
def test_a_fork_in_the_midst_hears_c_again(capfd: pytest.CaptureFixture[str]) -> None:
    with unsaid(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of any fork beside threads
        child = os.fork()
        if not child:
            cv2.imdecode(np.frombuffer(noisy_png(), np.uint8), cv2.IMREAD_COLOR)
            os._exit(0)
        os.waitpid(child, 0)
    assert "iCCP" in capfd.readouterr().err


def test_the_audit_still_hears_them(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(noisy_jpeg())
    (one,) = examine_files([str(tmp_path / "x.jpg")], Limits(10**6, 10**6))
    assert [code for code, _ in one.found] == ["stray_data"]
