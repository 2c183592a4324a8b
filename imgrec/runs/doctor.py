"""What the facts of a machine mean for training: what is wrong, what would help, and a report of them."""

from typing import Any

PURPOSES = {
    "pretrained": "--weights imagenet and .safetensors files",
    "audit": "wrong labels in pipelines.audit",
    "onnx": ".onnx files",
    "openvino": "OpenVINO's folders",
    "tune": "pipelines.tune",
    "quantizer": "--quantize ptq_litert",
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
    for extra in sorted(_lacking(facts)):
        purpose = f"for {PURPOSES[extra]}: " if extra in PURPOSES else ""
        advice.append(f"{purpose}pip install 'imgrec[{extra}]'")
    if facts["caches"]["refused"]:
        advice.append(
            f"{facts['caches']['refused']}: caches go to {facts['caches']['folder']}; "
            "name a lasting folder by XDG_CACHE_HOME"
        )
    if machine["memory"] and machine["memory"] < LITTLE_MEMORY:
        advice.append("little memory: a smaller --batch-size and --image-size help")
    if machine["disk_free"] < LITTLE_DISK:
        advice.append("little free disk: name an --out elsewhere")
    return advice


def _lacking(facts: dict[str, Any]) -> set[str]:
    """The extras of which something is missing."""
    return {package["extra"] for package in facts["packages"] if package["extra"] and not package["fits"]}


def report(facts: dict[str, Any]) -> str:
    """The facts, one line each."""
    machine, tensorflow, jax = facts["machine"], facts["tensorflow"], facts["jax"]
    memory = f"{machine['memory'] / GIGABYTE:.0f} GB of memory, " if machine["memory"] else ""
    features = f" ({', '.join(machine['features'])})" if machine["features"] else ""
    required = [package for package in facts["packages"] if not package["extra"]]
    extras = dict.fromkeys(package["extra"] for package in facts["packages"] if package["extra"])
    lacking = _lacking(facts)
    rows = {
        "python": f"{facts['python']['version']}, {facts['python']['executable']}",
        "machine": f"{machine['system']}, {machine['cores']} cores, {machine['processor']}{features}",
        "": f"{memory}{machine['disk_free'] / GIGABYTE:.0f} GB free in this folder",
        "packages": ", ".join(f"{p['name']} {p['version'] or 'MISSING'}" for p in required),
        "extras": ", ".join(f"{extra} {'no' if extra in lacking else 'yes'}" for extra in extras),
        "caches": facts["caches"]["folder"],
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
