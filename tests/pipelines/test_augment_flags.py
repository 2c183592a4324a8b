"""--augment, --preview and the flags of mixing: what goes together, and the sheet."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgrec.config import Config, from_mapping
from imgrec.errors import InputError
from imgrec.learning import conflicts, methods
from imgrec.runs.session import check
from imgrec.runs.training import train
from imgrec.tasks.multiclass import Multiclass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augment": "flop"}, "did you mean flip"),
        ({"augment": "crop(pad=4)|flip", "crop": "pad"}, "--crop pad: --augment says it all"),
        ({"cutmix_share": 1.2}, "--cutmix-share 1.2: expected a share from 0 to 1"),
        ({"mix_epochs": -1}, "--mix-epochs"),
        ({"preview": -1}, "--preview -1: expected 0 or more and 1000 at most"),
        ({"preview": 100_000}, "--preview 100000"),
    ],
)
def test_contradictions_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        config = Config().replace(**settings)
        check(config)
        conflicts.check(config, methods.choose(config))
    assert message in str(caught.value)


def test_a_recipe_may_hold_a_line_beside_the_section_of_its_name() -> None:
    config = from_mapping({"augment": {"augment": "flip|blur", "mixup": 0.2}, "epochs": 2})
    assert config == from_mapping({"augment": "flip|blur", "mixup": 0.2, "epochs": 2})
    check(config.replace(crop="none", erasing=0.5, mask_loss=0.0))


@pytest.fixture
def blocks(tmp_path: Path) -> str:
    """Thirty images of two classes, 20 pixels a side."""
    draw, labels = np.random.default_rng(0), np.arange(30) % 2
    images = draw.integers(0, 80, (30, 20, 20, 3), np.uint8)
    images[labels == 1, :10] += 150
    np.savez(tmp_path / "blocks.npz", images=images, labels=labels)
    return f"npz:{tmp_path / 'blocks.npz'}"


def test_the_plan_follows_the_line(blocks: str) -> None:
    from imgrec.data.sources.load import load_source
    from imgrec.learning.transfer import wants_cache
    from imgrec.runs import deciding
    from imgrec.runs.plan import make_plan

    asked = Config().replace(data=blocks, model="resnet8", augment="resized_crop|flip")
    source = load_source(asked.data, 0)
    task = Multiclass(source.classes)
    config = deciding.numbers(deciding.network(asked, source, task), len(source.train))
    plan = make_plan(config, source, task)
    # Training sees parts of images: testing looks at the middle. The flags of crop are not used.
    assert plan.preprocess.crop_fraction == 0.875 and plan.config.augment.crop == "none"
    plain = make_plan(config.replace(augment="crop|flip"), source, task)
    assert plain.preprocess.crop_fraction == 1.0
    with pytest.raises(InputError, match="the model's input is 20 × 20"):
        make_plan(config.replace(augment="crop(28)"), source, task)
    frozen = config.replace(freeze="backbone", augment="")
    assert wants_cache(frozen) and not wants_cache(frozen.replace(augment="flip"))


def test_preview_writes_a_sheet_and_trains_nothing(
    blocks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config().replace(data=blocks, model="resnet8", quantize="none", precision="float32")
    line = config.replace(augment="flip|randaugment", cutmix=1.0, batch_size=8, preview=21)
    assert train(line.replace(out=str(tmp_path / "run"))) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blocks.npz", "run.preview.png"]
    with Image.open(tmp_path / "run.preview.png") as sheet:
        assert sheet.width > 700 and sheet.height > 700
    assert capsys.readouterr().out.strip().endswith(f"21 training images: {tmp_path / 'run.preview.png'}")
