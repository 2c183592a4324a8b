"""The tables of the zoo's int8 files and of tfmot beside ours, from records as the runs keep them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.qat import data_of, recipe_of
from benchmarks.qat_table import coverage_table
from benchmarks.qat_table import table as compared_table
from benchmarks.small_forms import Form, prepare
from benchmarks.zoo_int8 import FAMILIES, in_float, of_family, table
from imgrec.export.inspect import Operator, TensorInfo
from imgrec.metrics.paired import from_counts


def file_record(accuracy: float, kilobytes: float) -> dict[str, Any]:
    lost = from_counts(6, 4, 2000).record()
    return {"accuracy": accuracy, "agreement": 0.9995, "kilobytes": kilobytes, "lost": lost, "ms": 0.5}


def test_a_family_has_a_line_and_the_others_are_named(tmp_path: Path) -> None:
    record = {
        "form": {**vars(Form("resnet8")), "batch": 32},
        "files": {
            "none": file_record(0.9, 317.4),
            "ptq": file_record(0.89, 97),
            "qat": file_record(0.899, 97),
        },
        "left_in_float": [],
    }
    of_family(tmp_path, "ResNet-8").write_text(json.dumps(record))
    lines = table(tmp_path).splitlines()
    assert lines[2].startswith("| ResNet-8 | `resnet8` | 4,000 × 6 + 2 | .9000 | .8900 | .8990 | -0.10 (")
    assert "317 → 97" in lines[2] and "| .9995 |" in lines[2]
    assert lines[-1].startswith("Not measured yet: LeNet-5, ResNet-8 + CBAM,")


def test_names_of_families_are_files_of_their_own(tmp_path: Path) -> None:
    assert len({of_family(tmp_path, name) for name in FAMILIES}) == len(FAMILIES)


def test_ours_and_the_others_have_lines(tmp_path: Path) -> None:
    against = from_counts(10, 2, 2000).record()
    more = {"compressed_kilobytes": 50.0, "processor_s": 9.0, "against_ours": against, "left_in_float": []}
    files = {"ours": {**file_record(0.9, 97), **more}, "tfmot": {**file_record(0.896, 99), **more}}
    record = {"form": {}, "files": files, "refused": {"tfmot, 16 clusters": "no"}}
    of_family(tmp_path, "ResNet-8").write_text(json.dumps(record))
    lines = compared_table(tmp_path).splitlines()
    assert lines[2].startswith("| ResNet-8 | ours | .9000 | – |")
    assert lines[3].startswith("| ResNet-8 | tfmot | .8960 | +0.40 (")
    assert "refused: no" in lines[4]


def test_who_takes_what(tmp_path: Path) -> None:
    found = {
        "ours": "",
        "untranslated": "",
        "tfmot": "Layer x",
        "with_configs": "",
        "unsupported": ["Multiply"],
    }
    record = {**found, "translation_difference": 0.0}
    of_family(tmp_path, "EfficientNet").write_text(json.dumps(record))
    of_family(tmp_path, "Swin").write_text(json.dumps({"ours": "", "untranslated": "because"}))
    lines = coverage_table(tmp_path).splitlines()
    assert lines[2] == "| EfficientNet | yes | no | yes | Multiply | 0.0e+00 |"
    assert lines[3] == "| Swin | yes | – | – | because | – |"


def test_what_computes_in_float_is_told_but_for_conversions() -> None:
    def tensor(dtype: str) -> TensorInfo:
        return TensorInfo("x", dtype, (1,), (), ())

    kinds = (("CONV_2D", "int8"), ("SOFTMAX", "float32"), ("DEQUANTIZE", "float32"))
    operators = [Operator(name, (tensor("int8"),), (tensor(dtype),)) for name, dtype in kinds]
    assert in_float(operators) == ["SOFTMAX"]


def test_the_other_engine_gets_our_batches_and_rates() -> None:
    data = prepare(Form("lenet5", images=200, epochs=1, tuning_epochs=2))
    recipe, sent = recipe_of(data), data_of(data)
    assert len(recipe.rates) == 2 * data.steps and recipe.batch == data.batch
    assert abs(max(recipe.rates) - 1e-3) < 1e-8 and recipe.rates[-1] < 1e-5
    batches = list(data.stream(2, first_epoch=1))
    assert np.array_equal(sent.train, np.concatenate([images.numpy() for images, _ in batches]))
    assert len(sent.train_targets) == 2 * data.steps * data.batch
    assert len(recipe_of(data, times=3).rates) == 6 * data.steps
