"""What the frameworks say of themselves is held back; what they say of trouble is not."""

import os
import subprocess
import sys

import pytest

from imgrec import frameworks

BANNERS = [
    "2026-01-05 10:00:00.012345: I tensorflow/core/platform/cpu_feature_guard.cc:210] This binary is",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
    "2026-01-05 10:00:00.012345: W tensorflow/core/common_runtime/gpu/gpu_device.cc:2342] Cannot dlopen",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1757000000.000000    4242 port.cc:153] oneDNN custom operations are on.",
    "E0000 00:00:1757000000.000000    4242 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting",
    "W0000 00:00:1757000000.000000    4242 computation_placer.cc:177] computation placer already registered.",
    "2026-01-05 10:00:00.1: E external/local_xla/xla/cuda_fft.cc:477] Unable to register cuFFT factory",
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    "",
]
TROUBLE = [
    "2026-01-05 10:00:00.012345: E tensorflow/core/framework/node_def_util.cc:676] out of memory",
    "2026-01-05 10:00:00.012345: F tensorflow/core/platform/cpu_feature_guard.cc:110] needs AVX",
    "E0000 00:00:1757000000.000000    4242 cuda_executor.cc:1228] failed to allocate",
    "ImportError: libcublas.so.12: cannot open shared object file",
    "ERROR: Node number 3 (CONV_2D) failed to prepare.",
]


def test_banners_go_and_trouble_stays() -> None:
    said = [line.encode() + b"\n" for line in [*BANNERS, *TROUBLE]]
    assert frameworks.remarks(said) == said[len(BANNERS) :]


def test_what_comes_past_python_is_held_back_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with frameworks.without_banners():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: bad\n")
    assert capfd.readouterr().err == "ERROR: bad\n"
    with pytest.raises(ValueError, match="x"), frameworks.without_banners():
        os.write(2, b"I0000 00:00:1.0 1 a.cc:1] all of it\n")
        raise ValueError("x")
    assert "all of it" in capfd.readouterr().err
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with frameworks.without_banners():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
    assert "XNNPACK" in capfd.readouterr().err


def test_a_death_meanwhile_is_reported() -> None:
    code = "from imgrec.frameworks import *\nimport os\nwith without_banners(): os.abort()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode < 0 and "Aborted" in done.stderr


def test_frameworks_come_without_a_word() -> None:
    """Also where a command was refused after they came. What only they would use stays out."""
    code = (
        "from pipelines.cli import *\nfrom imgrec.frameworks import import_frameworks\n"
        "def bad():\n    import_frameworks()\n    import tensorflow as tf\n"
        "    tf.config.list_logical_devices(); tf.reduce_sum(tf.ones((2, 2))).numpy()\n"
        "    assert not {'sklearn', 'pandas'} & set(sys.modules)\n    import sklearn\n"
        "    raise InputError('bad')\n"
        "guarded(bad)"
    )
    settings = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=settings, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: bad\n")
