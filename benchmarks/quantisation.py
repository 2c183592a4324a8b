"""What do observers, learned steps and kernels of four bits bring? Every variant of a few models.

python -m benchmarks.quantisation [--models lenet5 resnet8 …] [--epochs 4] [--work DIR]

Trains each model on the embedded sample by `pipelines.train` and makes its files by `pipelines.export`, so
that all variants of a model come of the same weights; the figures are the gate's, on the 2,000 test images.
What DIR holds already is not done again, so an interrupted comparison goes on where it was.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pipelines import export, train

MODELS = ("lenet5", "resnet8", "mobilenet_v3_small", "vit_small_image")
VARIANTS = (
    "qat",
    "ptq(observer=percentile)",
    "ptq(observer=mse)",
    "qat(lsq=true)",
    "qat(weights=4)",
    "qat(lsq=true, weights=4)",
    "qat(float=[stem, logits])",
    "qat(activations=16)",
)
"""What is made of each model; a `qat` brings its `ptq` along where that takes the same options."""
SHOWN = ("accuracy", "agreement", "kilobytes", "ms_per_image")


def trained(work: Path, model: str, epochs: int, qat_epochs: int) -> Path:
    """Return the run of a model, trained now where it is not yet."""
    run = work / model.partition("(")[0]
    if not (run / "manifest.json").is_file():
        words = [
            "--data",
            "sample",
            "--model",
            model,
            "--epochs",
            str(epochs),
            "--qat-epochs",
            str(qat_epochs),
        ]
        train.main([*words, "--quantize", "none", "--minutes", "0", "--no-tensorboard", "--out", str(run)])
    return run


def made(run: Path, variant: str) -> list[dict[str, Any]]:
    """Return the figures of the files that a variant brings, made now where they are not yet."""
    name = "".join(letter if letter.isalnum() else "-" for letter in variant).strip("-")
    out = run.with_name(f"{run.name}.exports") / name
    if not (out / "manifest.json").is_file():
        export.main(["--run", str(run), "--quantize", variant, "--out", str(out)])
    files = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["exports"]["files"]
    return [dict(row) for row in files]


def rows_of(run: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return each variant's name and figures, a variant that several exports bring once."""
    found: dict[str, dict[str, Any]] = {}
    for variant in VARIANTS:
        *before, last = made(run, variant)
        for row in before:
            found.setdefault(row["name"] if variant == "qat" else f"{row['name']} of {variant}", row)
        found[variant] = last
    return [(name, row) for name, row in found.items() if not name.startswith("float32 of")]


def main() -> None:
    """Print a table a model, as each is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--qat-epochs", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("saved_models/quantisation"))
    options = parser.parse_args()
    for model in options.models:
        run = trained(options.work, model, options.epochs, options.qat_epochs)
        print(f"\n| {model} | accuracy | agreement | KB | ms |\n|---|---|---|---|---|")
        for name, row in rows_of(run):
            accuracy, agreement, kilobytes, ms = (row[figure] for figure in SHOWN)
            print(
                f"| `{name}` | {accuracy:.4f} | {agreement:.4f} | {kilobytes:,.0f} | {ms:.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
