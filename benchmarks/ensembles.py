"""What every way of putting finished runs together is worth on their test images: `RUN RUN… [--out FILE]`.

    python -m pipelines.train --data sample --model resnet8 --epochs 8 … --members 5 --out saved_models/five
    python -m benchmarks.ensembles saved_models/five.members/seed-*

Weights and stacking are fitted on the validation images, as `pipelines.ensemble` fits them; figures are of
the test images, with 95 % intervals, and beside the member that has most of these very images right.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle
from imgrec.evaluation.subject import Subject
from imgrec.files import write_text
from imgrec.metrics import fusing
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.paired import from_answers
from imgrec.runs.ensembles import fitting, members, soup
from imgrec.runs.session import read_source

Floats = NDArray[np.floating]


def measure(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the figures of each member and of each way, ready for JSON."""
    held = members.read(paths)
    config = members.whole(held)
    source = read_source(config)
    members.check_data(held, source)
    models = [bundle.build_trained(member.runs[0]) for member in held]
    first = held[0].runs[0]
    subjects = [Subject(model, first.task, first.preprocess, 64) for model in models]
    on = {
        name: np.stack([fitting.probabilities_of(each.answers(split), first.task) for each in subjects])
        for name, split in (("val", source.val), ("test", source.test))
    }
    rows = {path.name: answers for path, answers in zip(paths, on["test"], strict=True)}
    best = max(rows, key=lambda name: float((rows[name].argmax(1) == source.test.labels).mean()))
    rows |= voted(on["val"], source.val.labels, on["test"])
    if len({model.count_params() for model in models}) == 1:
        rows["soup"] = cooked(models, subjects[0], source)
    labels = source.test.labels
    return {
        "images": len(labels),
        "best": best,
        "rows": {name: figures(p, rows[best], labels) for name, p in rows.items()},
        "stacking_less_weighted": from_answers(
            rows["stacking"].argmax(1) == labels, rows["weighted"].argmax(1) == labels
        ).record(),
        "spread": errors(fusing.spread(on["test"], "softmax"), rows["soft"].argmax(1) != labels),
    }


def voted(val: Floats, labels: NDArray[np.integer], test: Floats) -> dict[str, Floats]:
    """Return what each vote says of the test images, `[N, C]`."""
    shares = fusing.fit_shares(fusing.of_truth(val, labels))
    stacked = fusing.fit_stacking(val, labels)
    logits = fusing.features(test) @ stacked.kernel + stacked.bias
    votes = np.eye(test.shape[2])[test.argmax(axis=2)].mean(axis=0)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {
        "soft": test.mean(axis=0),
        "hard": (votes + 1e-3 * test.mean(axis=0)) / (1 + 1e-3),
        "weighted": np.tensordot(shares, test, 1),
        "stacking": raised / raised.sum(axis=1, keepdims=True),
    }


def cooked(models: Sequence[Any], subject: Subject, source: Any) -> Floats:
    """Return what the greedy soup of networks of one architecture says of the test images."""
    ingredients = [model.get_weights() for model in models]

    def score(weights: soup.Weights) -> float:
        subject.model.set_weights(weights)
        return float((subject.answers(source.val).argmax(1) == source.val.labels).mean())

    found = soup.greedy(ingredients, score)
    print(f"soup took {len(found.taken)} of {len(models)}: {found.record()}")
    subject.model.set_weights(found.weights)
    return fitting.probabilities_of(subject.answers(source.test), subject.task)


def figures(p: Floats, best: Floats, labels: NDArray[np.integer]) -> dict[str, Any]:
    """Return accuracy and cross-entropy, and the paired test against the best member."""
    right = p.argmax(axis=1) == labels
    return {
        "accuracy": float(right.mean()),
        "interval_95": wilson_interval(int(right.sum()), len(right)),
        "cross_entropy": fusing.nll(fusing.of_truth(p, labels)),
        "against_best": from_answers(right, best.argmax(axis=1) == labels).record(),
    }


def errors(apart: fusing.Spread, wrong: NDArray[np.bool_]) -> dict[str, float]:
    """Return how well each measure tells wrong answers of the mean from right ones (AUROC)."""
    from sklearn.metrics import roc_auc_score

    return {name: float(roc_auc_score(wrong, values)) for name, values in vars(apart).items()}


def table(found: dict[str, Any]) -> str:
    """Return the figures as lines."""
    lines = [f"{'':>12}{'accuracy':>10}{'95 %':>16}{'nats':>8}   less the best member ({found['best']})"]
    for name, row in found["rows"].items():
        low, high = row["interval_95"]
        paired = row["against_best"]
        less, more = (100 * end for end in paired["interval_95"])
        lines.append(
            f"{name:>12}{row['accuracy']:>10.4f}{f'{low:.4f}–{high:.4f}':>16}{row['cross_entropy']:>8.4f}"
            f"   {100 * paired['difference']:+.2f} points ({less:+.2f} to {more:+.2f}), "
            f"p = {paired['p_value']:.3g}"
        )
    paired = found["stacking_less_weighted"]
    low, high = (100 * end for end in paired["interval_95"])
    lines.append(
        f"stacking less weighted: {100 * paired['difference']:+.2f} points ({low:+.2f} to {high:+.2f})"
    )
    told = ", ".join(f"{name} {value:.3f}" for name, value in found["spread"].items())
    return "\n".join([*lines, f"AUROC of the mean's errors: {told}"])


def main() -> None:
    """Read the words, measure, print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    words.add_argument("--out", type=Path, help="write the figures here too, as JSON")
    asked = words.parse_args()
    found = measure(asked.runs)
    print(table(found))
    if asked.out:
        write_text(asked.out, json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
