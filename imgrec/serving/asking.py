"""What a user may ask of `predict`; read by help, so nothing heavy is imported."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from imgrec.errors import InputError
from imgrec.explain.settings import ExplainSettings
from imgrec.serving.batch.settings import BatchSettings
from imgrec.serving.views import ViewSettings


@dataclass(frozen=True)
class Command:
    """What to recognise, and with what."""

    images: Annotated[tuple[Path, ...], Positional, arg(metavar="IMAGE…", help_behavior_hint="")] = ()
    """Image files, or folders of them (subfolders and linked ones too; hidden ones not)."""
    run: Annotated[Path, arg(metavar="DIR|FILE.tflite|FILE.onnx", help_behavior_hint="")] = Path()
    """A run folder, or an exported file; a .tflite or .onnx runs without TensorFlow."""
    keras: Annotated[bool, FlagCreatePairsOff] = False
    """Let a run folder answer with its Keras model in any case: on a GPU, where there is one."""
    weights: Annotated[str, arg(metavar="imagenet|FILE", help_behavior_hint="")] = ""
    """In place of --run: weights for ImageNet's 1000 classes, published or in a .safetensors or .pth file."""
    model: Annotated[str, arg(metavar="NAME", help_behavior_hint="")] = ""
    """The model that --weights are for."""
    adapt_bn: Annotated[bool, FlagCreatePairsOff] = False
    """First take batch normalisation's statistics from these images: many, of another light or camera."""
    top: int = 5
    """How many classes to name, the most probable first."""
    objects: ViewSettings = field(default_factory=ViewSettings)
    maps: ExplainSettings = field(default_factory=ExplainSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    json: Annotated[bool, FlagCreatePairsOff] = False
    """One JSON object a line: "path" and "label", "probability", "top" (or "labels", "top"), or "error"."""

    def __post_init__(self) -> None:
        if not self.batch.out.name:
            return
        if self.weights or self.model or self.adapt_bn or self.objects.views or self.maps.explain:
            others = "--weights, --model, --adapt-bn, --views and --explain"
            raise InputError(f"--out takes a run's own answers to single pictures: leave out {others}")
        if self.run == Path():
            raise InputError("no --run: name a run folder or one of its files, such as saved_models/sample")

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images and folders named, those of a listing too. Raises InputError of one that is none."""
        if not self.batch.listing.name:
            return self.images
        from imgrec.serving.batch.running import listed

        return (*self.images, *listed(self.batch.listing))
