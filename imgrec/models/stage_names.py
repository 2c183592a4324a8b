"""From our layers' names to those of torchvision and timm."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

Names = tuple[str, ...]


def block_of(layer: str) -> tuple[int, int, str]:
    """Take `stage2_block1_bn1` apart: stage and block, counted from 0, and the rest of the name."""
    stage, block, rest = re.fullmatch(r"stage(\d+)_block(\d+)_(.+)", layer).groups()  # type: ignore[union-attr]
    return int(stage) - 1, int(block) - 1, rest


@dataclass(frozen=True)
class StageNames:
    """Our layer name → torchvision's name, then timm's, in a hierarchy with steps down: ConvNeXt, Swin.

    Torchvision counts stages and steps down in one list, `features.1, 2, 3, …`; timm has the steps down
    inside the stage that they lead to.
    """

    ends: Mapping[str, Names]
    """Layers outside the stages."""
    down: Mapping[str, str]
    """Parts of a step down, named alike by both."""
    block: Mapping[str, Names]
    """Parts of a block."""
    timm_stages: str
    """What timm calls the list of stages."""

    def __call__(self, layer: str) -> Names:
        """Return the names of one layer."""
        if layer in self.ends:
            return self.ends[layer]
        stage, _, block, part = re.fullmatch(r"stage(\d+)_(block(\d+)_)?(.+)", layer).groups()  # type: ignore[union-attr]
        index = int(stage) - 1
        if block is None:
            down = self.down[part]
            return f"features.{2 * index}.{down}", f"{self.timm_stages}.{index}.downsample.{down}"
        torchvision, timm = self.block[part]
        return (
            f"features.{2 * index + 1}.{int(block) - 1}.{torchvision}",
            f"{self.timm_stages}.{index}.blocks.{int(block) - 1}.{timm}",
        )
