"""What a teacher is worth to a student with a tenth of its parameters: alone and taught, several seeds.

python -m benchmarks.distillation [--data sample --seeds 3 --teacher MODEL --student MODEL …] [--out FOLDER]

One teacher is trained, or taken where FOLDER has it. The student learns from the labels alone, then as long,
from the same initial weights and images in the same order, from the teacher's answers too (`--teacher`), and
both are fine-tuned for int8 (`--quantize qat`), the taught one with its teacher. Images are mirrored and not
cropped, so that the teacher is asked once an image and view. FOLDER/runs.json holds what is done; the same
command goes on.

Hinton et al., 2015 (arXiv 1503.02531); Tian et al., 2020 (arXiv 1910.10699), table 1, have for CIFAR-100 and
ResNet-56 → ResNet-20: student alone 69.06, taught so 70.66, teacher 72.34. That is another, harder set.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from benchmarks.repeated import repeat, spread, table
from imgrec.config import Config
from imgrec.runs.training import train

PUBLISHED = "CIFAR-100, ResNet-56 → ResNet-20 (arXiv 1910.10699, table 1): alone 69.06, taught 70.66"


def run(config: Config) -> dict[str, Any]:
    """Train, or take what is there; return parameters, and accuracies of the model and its int8 files."""
    from imgrec import bundle

    out = Path(config.run.out)
    if not (out / bundle.MANIFEST).exists():
        train(config)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    model = bundle.load(out).model
    files = {row["name"]: row for row in metrics["exports"]["files"]}
    return {
        "accuracy": metrics["test"]["accuracy"],
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        **{name: row["accuracy"] for name, row in files.items() if name.endswith("int8")},
    }


def settings(args: argparse.Namespace, folder: Path, model: str, **more: Any) -> Config:
    """The settings of one training."""
    return Config().replace(
        data=args.data,
        model=model,
        out=str(folder),
        crop="none",
        minutes=0.0,
        precision="float32",
        tensorboard=False,
        **more,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--teacher", default="resnet20(width=24, stem_pool=true)")
    parser.add_argument("--student", default="resnet8(width=14, stem_pool=true)")
    parser.add_argument("--teacher-epochs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--method", default="distill(temperature=4, alpha=0.9)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("saved_models/distillation"))
    args = parser.parse_args()
    teacher = args.out / "teacher"

    def student(name: str, seed: int, **more: Any) -> dict[str, Any]:
        folder = args.out / f"{name}_{seed}"
        return run(
            settings(args, folder, args.student, epochs=args.epochs, seed=seed, quantize="qat", **more)
        )

    plan = [
        (
            "teacher",
            lambda: run(settings(args, teacher, args.teacher, epochs=args.teacher_epochs, quantize="none")),
        )
    ]
    for seed in range(args.seeds):
        plan.append((f"alone, seed {seed}", lambda seed=seed: student("alone", seed)))
        plan.append(
            (
                f"taught, seed {seed}",
                lambda seed=seed: student("taught", seed, teacher=str(teacher), method=args.method),
            )
        )
    facts = {name: value for name, value in vars(args).items() if name not in ("out", "seeds")}
    results = repeat(args.out / "runs.json", facts, plan)
    report(results)


def report(results: dict[str, dict[str, Any]]) -> None:
    """Print the students' accuracies, and how they stand to the teacher's."""
    taught_by = results.pop("teacher")
    print("\n" + table(results, ["accuracy", "qat_int8"]))
    pupil = next(iter(results.values()))
    print(f"teacher: {100 * taught_by['accuracy']:.2f}, {taught_by['parameters']:,} parameters")
    print(f"student: {pupil['parameters']:,}, {pupil['parameters'] / taught_by['parameters']:.1%} of them")
    kept = [r["accuracy"] / taught_by["accuracy"] for name, r in results.items() if name.startswith("taught")]
    print(f"the taught student keeps {spread(kept)} % of the teacher's accuracy")
    seeds = [name.partition(", ")[2] for name in results if name.startswith("alone")]
    gains = [results[f"taught, {s}"]["accuracy"] - results[f"alone, {s}"]["accuracy"] for s in seeds]
    print(
        f"gain by the teacher, seed by seed, in points: {', '.join(f'{100 * gain:+.2f}' for gain in gains)}"
    )
    print(f"as published elsewhere: {PUBLISHED}")


if __name__ == "__main__":
    main()
