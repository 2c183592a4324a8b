"""What a person gets in a minute without imgrec: logistic regression on frozen ImageNet features.

python -m benchmarks.linear_peer --work DIR [--folders cutouts elpv emoji sample] [--seeds 0 1 2]

Of folders that `benchmarks.folders` has built in DIR, or of any other below it: EfficientNet-Lite0's packaged
weights at 224 px, scikit-learn's logistic regression with its C cross-validated (5 folds) on the training and
validation images together, judged on the test images that imgrec itself sets apart by that seed. Features are
kept in DIR/features, answers in DIR/peer.json. Needs `pip install "imgrec[pretrained]"`.
"""

import argparse
import json
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.config import DataConfig
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.load import load_source
from imgrec.files import write_text

FOLDERS = ("cutouts", "elpv", "emoji", "sample")
NETWORK, SIDE, BATCH, AT_ONCE = "efficientnet_lite0", 224, 32, 512
STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def features(source: Source, kept: Path) -> dict[str, np.ndarray]:
    """Return what the frozen network sees in every image, float32 `[1280]` by id.

    They are kept in the file `kept`, written every 512 images: what is interrupted goes on.
    """
    found: dict[str, np.ndarray] = {}
    if kept.exists():
        with np.load(kept, allow_pickle=False) as held:
            found = dict(zip(held["ids"].tolist(), held["features"], strict=True))
    joined = source.train.joined(source.val, source.test)
    missing = np.array([index for index, name in enumerate(joined.ids) if name not in found], np.int64)
    if missing.size:
        see = _backbone()
        for start in range(0, missing.size, AT_ONCE):
            part = joined.take(missing[start : start + AT_ONCE])
            found.update(zip(part.ids, see(part), strict=True))
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, ids=np.array(list(found)), features=np.stack(list(found.values())))
    return found


def _backbone() -> Callable[[Split], np.ndarray]:
    import keras
    import tensorflow as tf

    from imgrec.data.pipeline import evaluation_dataset
    from imgrec.models import build_model
    from imgrec.models.pretrained import load_pretrained

    model = build_model(NETWORK, input_shape=(SIDE, SIDE, 3), num_classes=1000)
    load_pretrained(model, "imagenet")
    backbone = keras.Model(model.inputs, model.get_layer("features").output)
    preprocess = Preprocess(size=(SIDE, SIDE), colour="rgb")

    def see(images: Split) -> np.ndarray:
        batches = evaluation_dataset(images, preprocess, tf.identity, batch_size=BATCH)
        return np.concatenate([np.asarray(backbone.predict_on_batch(x), np.float32) for x, _ in batches])

    return see


def judge(source: Source, seen: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return accuracy, AUC of two classes, the C chosen, and the number of test images."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    learned, test = source.train.joined(source.val), source.test
    x, test_x = (np.stack([seen[name] for name in split.ids]) for split in (learned, test))
    if len(x) < x.shape[1]:
        # Turned into the span of the images, where the answer is the same and the fit several times quicker.
        turned = np.linalg.svd(x, full_matrices=False)[2].T
        x, test_x = x @ turned, test_x @ turned
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    # One thread: on matrices this small more of them take ten times the processor time.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Weak regularisation on more features than images: the best C is elsewhere.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        model = LogisticRegressionCV(
            Cs=STRENGTHS, cv=folds, max_iter=300, tol=1e-3, scoring="accuracy", use_legacy_attributes=False
        ).fit(x, learned.labels)
    chance = model.predict_proba(test_x)
    two = len(source.classes) == 2
    return {
        "accuracy": float(np.mean(chance.argmax(axis=1) == test.labels)),
        "auc": float(roc_auc_score(test.labels, chance[:, 1])) if two else None,
        "c": float(np.ravel(model.C_)[0]),
        "images": len(test),
    }


def peer(work: Path, folder: str, seeds: list[int]) -> dict[int, dict[str, Any]]:
    """Return `judge` of a folder in `work` for every seed, from DIR/peer.json where it has them."""
    path = work / "peer.json"
    for seed in seeds:
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if str(seed) in record.get(folder, {}):
            continue
        source = load_source(DataConfig(data=str(work / folder), audit=False), seed)
        answer = judge(source, features(source, work / "features" / f"{folder}.npz"))
        record.setdefault(folder, {})[str(seed)] = answer
        write_text(path, json.dumps(record, indent=1))
    record = json.loads(path.read_text(encoding="utf-8"))
    return {seed: record[folder][str(seed)] for seed in seeds}


def main() -> None:
    """Measure the folders asked for, and print one line a folder."""
    parser = argparse.ArgumentParser(description="Logistic regression on frozen ImageNet features.")
    parser.add_argument("--work", type=Path, required=True, help="where benchmarks.folders wrote")
    parser.add_argument("--folders", nargs="+", default=list(FOLDERS), help="folders below it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one division each")
    given = parser.parse_args()
    for folder in given.folders:
        answers = peer(given.work, folder, given.seeds)
        each = ", ".join(f"{answer['accuracy']:.4f} (C {answer['c']:.2g})" for answer in answers.values())
        mean = statistics.mean(answer["accuracy"] for answer in answers.values())
        areas = [answer["auc"] for answer in answers.values() if answer["auc"] is not None]
        area = f"; AUC {statistics.mean(areas):.4f}" if areas else ""
        print(f"{folder:10} accuracy {mean:.4f}: {each}{area}", flush=True)


if __name__ == "__main__":
    main()
