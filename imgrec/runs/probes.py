"""What there is on this machine, found out without trusting that any of it works."""

import configparser
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from imgrec import caches
from imgrec.frameworks import keras_backend
from imgrec.processors import cores

SETUP = Path(__file__).parents[2] / "setup.cfg"
SUPPORTED = ((3, 11), (3, 12))
TIMEOUT = 180
FEATURES = {"avx2": "AVX2", "avx512f": "AVX-512", "amx_bf16": "AMX bfloat16", "asimd": "NEON"}
"""Flags of /proc/cpuinfo that decide how fast a network is, and what they are called."""
TENSORFLOW = """
import json
import tensorflow as tf
from imgrec import runtime
build = tf.sysconfig.get_build_info()
gpus = tf.config.list_physical_devices("GPU")
names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
found = {"version": tf.__version__, "cuda": build.get("cuda_version", ""), "gpus": names}
strategy, precision = runtime.choose_strategy("auto")[1], runtime.set_precision("auto")
print(json.dumps({**found, "strategy": strategy, "precision": precision}))
"""
JAX = """
import json
import jax
devices = [f"{device.platform}: {device.device_kind}" for device in jax.devices()]
print(json.dumps({"version": jax.__version__, "devices": devices}))
"""


def gather() -> dict[str, Any]:
    """Return all facts, ready for JSON."""
    return {
        "python": {
            "version": platform.python_version(),
            "executable": sys.executable,
            "supported": sys.version_info[:2] in SUPPORTED,
        },
        "machine": machine(),
        "packages": packages(),
        "tensorflow": probe(TENSORFLOW),
        "jax": probe(JAX),
        "keras_backend": keras_backend(),
        "caches": caches_kept(),
        "nvidia": nvidia(),
        "tpu": has_tpu(),
    }


def caches_kept() -> dict[str, str]:
    """The folder of the caches, and why it is not the first choice; empty where it is."""
    found = caches.locate()
    return {"folder": str(found.root), "refused": found.refused}


def machine() -> dict[str, Any]:
    """System, processor, cores that may be used, memory and free disk in bytes (memory 0 where unknown)."""
    about = _cpuinfo()
    words = set(about.get("flags", about.get("Features", "")).split())
    names = set(getattr(os, "sysconf_names", {}))
    known = {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= names
    return {
        "system": platform.platform(),
        "processor": about.get("model name") or platform.processor() or platform.machine(),
        "features": [title for flag, title in FEATURES.items() if flag in words],
        "cores": cores(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else 0,
        "disk_free": shutil.disk_usage(".").free,
    }


def _cpuinfo() -> dict[str, str]:
    """The first processor's entries of /proc/cpuinfo; empty where there is none."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def packages() -> list[dict[str, Any]]:
    """What imgrec requires: name, wanted range, extra ("" for all), version or None, whether that fits.

    Those of the extra `dev` are left out.
    """
    from packaging.requirements import Requirement

    rows = []
    for extra, text in requirements():
        wanted = Requirement(text)
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            version = None
        fits = version is not None and wanted.specifier.contains(version, prereleases=True)
        row = {"name": wanted.name, "wanted": str(wanted.specifier), "extra": extra}
        rows.append({**row, "version": version, "fits": fits})
    return rows


def requirements(setup: Path = SETUP) -> list[tuple[str, str]]:
    """Return (extra, requirement) of setup.cfg in a working tree, else of the installed package."""
    if setup.is_file():
        parser = configparser.ConfigParser()
        parser.read(setup, encoding="utf-8")
        texts = {"": parser["options"]["install_requires"], **parser["options.extras_require"]}
        listed = [(extra, line.strip()) for extra, text in texts.items() for line in text.splitlines()]
        return [(e, line) for e, line in listed if line and not line.startswith("#") and e != "dev"]
    found = []
    for line in metadata.requires("imgrec") or []:
        text, _, marker = line.partition(";")
        extra = marker.partition("extra ==")[2].strip(" '\"")
        if extra != "dev":
            found.append((extra, text.strip()))
    return found


def probe(code: str) -> dict[str, Any]:
    """Run `code` in a process of its own and return the JSON of its last line, or `{"error": why not}`."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    root = str(SETUP.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"did not answer within {TIMEOUT} s"}
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        return {"error": f"ended by signal {-done.returncode}: not built for this processor?"}
    if done.returncode:
        return {"error": lines[-1] if lines else f"exit code {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def nvidia() -> list[str]:
    """Names of the GPUs that NVIDIA's driver knows, whatever the frameworks see."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def has_tpu() -> bool:
    """Whether this looks like a machine with a TPU, such as Colab's TPU runtime."""
    named = any(os.environ.get(name) for name in ("TPU_ACCELERATOR_TYPE", "COLAB_TPU_ADDR", "TPU_NAME"))
    return named or any(Path("/dev").glob("accel[0-9]*"))
