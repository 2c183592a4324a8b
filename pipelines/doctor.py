"""Say what this machine can do, and what to install for what: `python -m pipelines.doctor`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from imgrec.runs import probes
from pipelines.cli import guarded, parse

DESCRIPTION = """What this machine can do: versions, devices, what training would choose, what to install.

  python -m pipelines.doctor
  python -m pipelines.doctor --json

TensorFlow and JAX are tried in processes of their own, so that one which cannot be imported is named, and
does not end the command. Exit code 0: training can run; 1: something that it needs is missing or broken."""

PURPOSES = {
    "pretrained": "--weights imagenet and .safetensors files",
    "audit": "wrong labels in pipelines.audit",
    "tune": "pipelines.tune",
    "jax": "Keras on JAX",
}
"""What the extras are for."""
GIGABYTE = 1e9
LITTLE_MEMORY, LITTLE_DISK = 4 * GIGABYTE, 2 * GIGABYTE
TPU = (
    "a TPU is here, and TensorFlow {tensorflow} cannot use it (2.19.1 was the last that could): "
    "pip install 'jax[tpu]>=0.10,<0.11', and KERAS_BACKEND=jax for pipelines.train --strategy tpu; "
    "so far tried on JAX's processor devices only. A process on TensorFlow then exports, on the processor"
)


@dataclass(frozen=True)
class Arguments:
    """How to say it."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON and nothing else."""


def run(arguments: Arguments) -> int:
    """Look, print what was found and what to do; return the exit code."""
    facts = probes.gather()
    faults, advice = faults_of(facts), advice_on(facts)
    if arguments.json:
        whole = {**facts, "faults": faults, "advice": advice}
        print(json.dumps(whole, indent=2, ensure_ascii=False))
    else:
        print(report(facts))
        for line in faults:
            print(f"fault: {line}")
        for line in advice:
            print(f"advice: {line}")
        print("training cannot run here: see the faults" if faults else "training can run here")
    return 1 if faults else 0


def faults_of(facts: dict[str, Any]) -> list[str]:
    """Return what keeps training from running, each with what mends it."""
    faults = []
    if not facts["python"]["supported"]:
        faults.append(f"Python {facts['python']['version']}: expected 3.11 or 3.12")
    for package in facts["packages"]:
        if not package["extra"] and not package["fits"]:
            held = package["version"] or "missing"
            wanted = f"{package['name']}{package['wanted']}"
            faults.append(f"{package['name']} {held}: pip install '{wanted}'")
    error = facts["tensorflow"].get("error")
    if error:
        faults.append(f"TensorFlow cannot be used: {error}")
    if facts["keras_backend"] not in ("tensorflow", "jax"):
        faults.append(
            f"Keras runs on {facts['keras_backend']}: pipelines.train needs KERAS_BACKEND=tensorflow, or jax"
        )
    return faults


def advice_on(facts: dict[str, Any]) -> list[str]:
    """Return what would make more of this machine, each with the command."""
    advice = []
    tensorflow, machine = facts["tensorflow"], facts["machine"]
    if facts["nvidia"] and not tensorflow.get("gpus"):
        wanted = next(p["wanted"] for p in facts["packages"] if p["name"] == "tensorflow")
        advice.append(
            f"TensorFlow sees none of {', '.join(facts['nvidia'])}: "
            f"pip install 'tensorflow[and-cuda]{wanted}' (Linux or WSL2)"
        )
    if facts["tpu"]:
        advice.append(TPU.format(tensorflow=tensorflow.get("version", "missing")))
    lacking = {package["extra"] for package in facts["packages"] if package["extra"] and not package["fits"]}
    for extra in sorted(lacking):
        purpose = f"for {PURPOSES[extra]}: " if extra in PURPOSES else ""
        advice.append(f"{purpose}pip install 'imgrec[{extra}]'")
    if machine["memory"] and machine["memory"] < LITTLE_MEMORY:
        advice.append("little memory: a smaller --batch-size and --image-size help")
    if machine["disk_free"] < LITTLE_DISK:
        advice.append("little free disk: name an --out elsewhere")
    return advice


def report(facts: dict[str, Any]) -> str:
    """The facts, one line each."""
    machine, tensorflow, jax = facts["machine"], facts["tensorflow"], facts["jax"]
    memory = f"{machine['memory'] / GIGABYTE:.0f} GB of memory, " if machine["memory"] else ""
    features = f" ({', '.join(machine['features'])})" if machine["features"] else ""
    required = [package for package in facts["packages"] if not package["extra"]]
    extras = dict.fromkeys(package["extra"] for package in facts["packages"] if package["extra"])
    complete = {
        extra: all(package["fits"] for package in facts["packages"] if package["extra"] == extra)
        for extra in extras
    }
    rows = {
        "python": f"{facts['python']['version']}, {facts['python']['executable']}",
        "machine": f"{machine['system']}, {machine['cores']} cores, {machine['processor']}{features}",
        "": f"{memory}{machine['disk_free'] / GIGABYTE:.0f} GB free in this folder",
        "packages": ", ".join(f"{p['name']} {p['version'] or 'MISSING'}" for p in required),
        "extras": ", ".join(f"{extra} {'yes' if whole else 'no'}" for extra, whole in complete.items()),
        "TensorFlow": _tensorflow(tensorflow),
        "JAX": jax.get("error") or f"{jax['version']}, {', '.join(jax['devices'])}",
        "Keras on": facts["keras_backend"],
        "TPU": "found" if facts["tpu"] else "none",
        "devices": tensorflow.get("strategy", "unknown") + "  (--strategy auto)",
        "precision": tensorflow.get("precision", "unknown") + "  (--precision auto)",
    }
    return "\n".join(f"{name:>11}  {text}" for name, text in rows.items())


def _tensorflow(found: dict[str, Any]) -> str:
    if "error" in found:
        return found["error"]
    build = f"built for CUDA {found['cuda']}" if found["cuda"] else "built without CUDA"
    return f"{found['version']}, {build}, GPUs: {', '.join(found['gpus']) or 'none'}"


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    return run(parse(Arguments, words, prog="python -m pipelines.doctor", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
