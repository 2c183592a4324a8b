"""Every family of the zoo, small, on the sample: float, post-training int8 and quantisation-aware int8.

python -m benchmarks.zoo_int8 [--families ViT …] [--out DIR]   trains those that DIR does not hold
python -m benchmarks.zoo_int8 --table [--out DIR]              the table of what DIR holds, in Markdown

Each family learns from a part of the sample's 10,000 training images and for few epochs, which its row says;
figures are of all 2,000 test images, each through the file. A family's figures are kept in DIR/FAMILY.json as
soon as they are there, so a run that was stopped goes on with the next one, and several may run at once.

- agrees: the QAT file with the Keras model that was fine-tuned; the PTQ file with the float model, from which
  it may differ.
- QAT − float: in points, its 95 % interval on the same images (Tango, 1998) and McNemar's exact p.
- left in float: operators of the QAT file that compute in float32, beside the conversion at its ends.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.small_forms import Form, calibrated, fine_tuned, prepare, train
from imgrec.artefact import Artefact
from imgrec.compression.variants import VARIANTS
from imgrec.export import litert
from imgrec.export.inspect import Operator, describe
from imgrec.export.parity import ParityRow, measure
from imgrec.files import write_text
from imgrec.runtimes import open_runtime
from imgrec.tasks.multiclass import Multiclass

FAMILIES: dict[str, Form] = {
    "LeNet-5": Form("lenet5"),
    "ResNet-8": Form("resnet8"),
    "ResNet-8 + CBAM": Form("resnet8(attention=cbam)"),
    "ResNet-8 + SE": Form("resnet8(attention=se)"),
    "ShuffleNetV2": Form("shufflenet_v2_x0_5"),
    "MobileNetV3": Form("mobilenet_v3_small"),
    "ResNet-20": Form("resnet20", 4000, 4, 1),
    "MobileNetV2": Form("mobilenet_v2(width=0.5)", 4000, 4, 1),
    "MobileNetV1": Form("mobilenet_v1(width=0.5)", 4000, 4, 1),
    "ViT": Form("vit_small_image", 4000, 4, 1),
    "EfficientNet": Form("efficientnet_b0(small_stem=false)", 4000, 6, 1, side=32),
    "EfficientNet-Lite": Form("efficientnet_lite0(small_stem=false)", 4000, 6, 1, side=32),
    "pre-activation ResNet": Form("preact_resnet20", 4000, 4, 1),
    "AlexNet": Form("alexnet", 2500, 4, 1, side=64),
    "SqueezeNet": Form("squeezenet1_1", 3000, 4, 1),
    "GoogLeNet": Form("googlenet(small_stem=false)", 4000, 4, 1, side=32),
    "VGG": Form("vgg11_bn", 2500, 3, 1),
    "MobileViT": Form("mobilevit_xxs", 2500, 4, 1),
    "ResNet-18": Form("resnet18(small_stem=false)", 3000, 4, 1, side=32),
    "DenseNet": Form("densenet121(small_stem=false)", 2000, 4, 1, side=32),
    "ResNet-50": Form("resnet50(small_stem=false)", 2000, 4, 1, side=32),
    "ConvNeXt": Form("convnext_tiny(small_stem=false)", 1500, 4, 1, side=32),
    "Inception": Form("inception_v3", 1000, 3, 1),
    "Swin": Form("swin_t", 1000, 3, 1),
    "CoAtNet": Form("coatnet_0", 500, 3, 1),
}
"""The smallest form of each family, cut down to minutes on two cores; quick ones first."""

VARIANTS_SHOWN = ("none", "ptq", "qat")
BATCH, TIMED, SIDE = 200, 200, 28
"""Images that Keras takes at a time, images that files are timed on, and the sample's side in pixels."""


def family(form: Form) -> dict[str, Any]:
    """Train the form, quantise it, fine-tune it rounded, and return the figures of its three files."""
    data = prepare(form)
    with tempfile.TemporaryDirectory() as name:
        paths = {variant: Path(name) / f"{variant}.tflite" for variant in VARIANTS_SHOWN}
        images, labels = data.test()
        pixels = images.astype("float32")
        model = train(data)
        float_outputs = model.predict(pixels, batch_size=BATCH, verbose=0)
        litert.to_float32(model, paths["none"])
        rounded, parameters = calibrated(data, model), model.count_params()
        del model
        litert.to_int8(rounded, paths["ptq"])
        fine_tuned(data, rounded)
        litert.to_int8(rounded, paths["qat"])
        tuned = rounded.predict(pixels, batch_size=BATCH, verbose=0)
        milliseconds = in_turns(paths, images[:TIMED])
        task, files = Multiclass(data.source.classes), {}
        for variant, path in paths.items():
            artefact = Artefact(path, "tflite", variant, VARIANTS[variant].promise)
            reference = tuned if variant == "qat" else float_outputs
            row = measure(artefact, images, labels, reference, float_outputs, task)
            files[variant] = {**as_record(row), "ms": milliseconds[variant]}
        left = in_float(describe(paths["qat"]))
    return {
        "form": {**dataclasses.asdict(form), "batch": data.batch, "optimizer": data.optim.optimizer},
        "parameters": int(parameters),
        "images": len(images),
        "files": files,
        "left_in_float": left,
        "seconds": data.seconds,
    }


def as_record(row: ParityRow) -> dict[str, Any]:
    """Return what is kept of a file's figures; `lost` is float less file."""
    return {
        "accuracy": row.accuracy,
        "agreement": row.agreement,
        "agreement_interval_95": row.agreement_interval_95,
        "kilobytes": row.kilobytes,
        "lost": row.lost.record(),
    }


def in_turns(paths: Mapping[str, Path], images: np.ndarray) -> dict[str, float]:
    """Return each file's median milliseconds for one image on one thread, the files taking turns."""
    runtimes = {name: open_runtime(path, num_threads=1) for name, path in paths.items()}
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for index in range(len(images)):
        for name, runtime in runtimes.items():
            taken[name].append(1000 * float(runtime.timed(images[index : index + 1])[1][0]))
    return {name: float(np.median(values)) for name, values in taken.items()}


def in_float(operators: list[Operator]) -> list[str]:
    """Return the kinds of operators that give float32, but for conversions and what follows the last one."""
    names = {
        operator.name
        for operator in operators
        if operator.name not in ("QUANTIZE", "DEQUANTIZE")
        and any(tensor.dtype == "float32" for tensor in operator.outputs)
    }
    return sorted(names)


def table(folder: Path) -> str:
    """Return the table of the families that `folder` holds, in Markdown, and a line for those it lacks."""
    lines = [
        "| family | network | trained on | float | PTQ | QAT | QAT − float, points (95 %), p | QAT agrees "
        "| PTQ agrees | KB float → int8 | ms float → int8 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    missing = []
    for name in FAMILIES:
        path = of_family(folder, name)
        if not path.exists():
            missing.append(name)
            continue
        lines.append(_line(name, json.loads(path.read_text(encoding="utf-8"))))
    if missing:
        lines.append(f"\nNot measured yet: {', '.join(missing)}.")
    return "\n".join(lines)


def _line(name: str, record: Mapping[str, Any]) -> str:
    form, files = record["form"], record["files"]
    none, ptq, tuned = (files[variant] for variant in VARIANTS_SHOWN)
    lost = tuned["lost"]
    low, high = (-100 * end for end in reversed(lost["interval_95"]))
    cells = [
        name,
        f"`{form['model']}`" + (f", {form['side']} px" if form["side"] != SIDE else ""),
        f"{form['images']:,} × {form['epochs']} + {form['tuning_epochs']}",
        *(f"{share(file['accuracy'])}" for file in (none, ptq, tuned)),
        f"{-100 * lost['difference']:+.2f} ({low:+.2f} … {high:+.2f}), {lost['p_value']:.2g}",
        share(tuned["agreement"]),
        share(ptq["agreement"]),
        f"{none['kilobytes']:,.0f} → {tuned['kilobytes']:,.0f}",
        f"{none['ms']:.2f} → {tuned['ms']:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def share(value: float) -> str:
    """Return a share as `.9125`."""
    return f"{value:.4f}".removeprefix("0")


def of_family(folder: Path, name: str) -> Path:
    """Return the file of a family's figures."""
    return folder / f"{name.lower().replace(' + ', '_').replace(' ', '_')}.json"


def main() -> None:
    """Measure the families that are missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES), metavar="NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("saved_models/zoo_int8"))
    parser.add_argument("--table", action="store_true", help="measure nothing")
    given = parser.parse_args()
    for name in [] if given.table else given.families:
        path = of_family(given.out, name)
        if path.exists():
            continue
        keras.backend.clear_session()
        record = family(FAMILIES[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record, indent=1, ensure_ascii=False))
        print(f"{name}: {json.dumps(record, ensure_ascii=False)}", flush=True)
    print(table(given.out))


if __name__ == "__main__":
    main()
