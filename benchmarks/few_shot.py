"""How well classes that nobody learned are told apart from a few pictures each: runs, and what needs no
training.

    python -m benchmarks.glyphs --out saved_models/glyphs
    python -m pipelines.train --data npz:saved_models/glyphs/known.npz --method "protonet(way=40)" …
    python -m benchmarks.few_shot --runs saved_models/proto saved_models/maml --glyphs saved_models/glyphs

The same episodes for all: `--way` characters of `unseen.npz`, so many pictures of each known, and `--query`
    more asked about. Nearest class mean of features (each run's, an ImageNet network's, raw pixels); logistic
    regression on the same, its strength chosen on episodes of known characters; gradient steps from a run of
    `maml`. The ± is the 95 % interval of the mean over episodes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cli import guarded, parse

Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rows of images that are known, `[way, shot]`, and asked about, `[way, query]` → which are right."""
Look = Callable[[np.ndarray], np.ndarray]
"""Images `[N, 28, 28]` → features `[N, D]`."""
SIDE = 64
"""Pixels a side that the ImageNet network sees."""


@dataclass(frozen=True)
class Settings:
    """What is asked of whom."""

    runs: tuple[Path, ...] = field(default=())
    """Folders of finished runs."""
    glyphs: Path = Path("saved_models/glyphs")
    """Folder of `benchmarks.glyphs`."""
    characters: int = 250
    """Unseen characters that episodes draw from; a fifth as many known ones choose the strengths."""
    way: int = 5
    """Characters of an episode."""
    shots: tuple[int, ...] = (1, 5)
    """Known pictures of each."""
    query: int = 15
    """Pictures of each that are asked about."""
    episodes: int = 600
    """How many."""
    adapted: int = 200
    """Episodes of methods that take steps."""
    steps: int = 10
    """Inner steps of a run of maml."""


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, and print the table."""
    settings = parse(Settings, argv, prog="python -m benchmarks.few_shot", description=__doc__)
    images, labels = read(settings.glyphs / "unseen.npz", "images", "labels", settings.characters)
    known, of_known = read(settings.glyphs / "known.npz", "x_train", "y_train", settings.characters // 5)
    looks: dict[str, Look] = {"raw pixels": pixels, "ImageNet features": imagenet()}
    looks |= {f"features of {run.name}": features_of(run) for run in settings.runs}
    seen = {name: (look(images), look(known)) for name, look in looks.items()}
    for shot in settings.shots:
        print(f"\n{settings.way}-way {shot}-shot, {len(np.unique(labels))} characters", flush=True)
        rows = episodes(labels, settings, shot, seed=1)
        before = episodes(of_known, settings, shot, seed=2)[:60]
        for name, (unseen, learned) in seen.items():
            say(f"nearest mean of {name}", nearest(unseen), rows, shot)
            best = chosen(learned, before, shot)
            say(f"logistic regression on {name} (C = {best:g})", regression(unseen, best), rows[:200], shot)
        for run in settings.runs:
            if adapting := adapted(run, images, settings.steps):
                say(f"{settings.steps} steps from {run.name}", adapting, rows[: settings.adapted], shot)
    return 0


def read(path: Path, images: str, labels: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images `[N, 28, 28]` and labels `[N]` of so many characters at most, drawn by a fixed seed."""
    with np.load(path, allow_pickle=False) as held:
        found, names = held[images], held[labels]
    chosen = np.isin(names, np.random.default_rng(0).permutation(np.unique(names))[:most])
    return found[chosen], names[chosen]


def episodes(labels: np.ndarray, settings: Settings, shot: int, seed: int) -> np.ndarray:
    """Return rows of images, `[episodes, way, shot + query]`."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    need = shot + min(settings.query, min(map(len, members)) - shot)
    drawn = [
        [
            rng.choice(members[c], need, replace=False)
            for c in rng.choice(len(members), settings.way, replace=False)
        ]
        for _ in range(settings.episodes)
    ]
    return np.array(drawn)


def share(answer: Answer, rows: np.ndarray, shot: int) -> tuple[float, float]:
    """Return the mean share of right answers, and the half-width of its 95 % interval."""
    right = np.array([answer(row[:, :shot], row[:, shot:]).mean() for row in rows])
    return float(right.mean()), 1.96 * float(right.std(ddof=1)) / len(right) ** 0.5


def say(name: str, answer: Answer, rows: np.ndarray, shot: int) -> None:
    """Print a row of the table."""
    mean, half = share(answer, rows, shot)
    print(f"{name:<60} {mean:.4f} ± {half:.4f}", flush=True)


def nearest(features: np.ndarray) -> Answer:
    """Answer by the nearest mean, as features `[N, D]` lie."""

    def answer(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        means = features[known].mean(1)
        far = ((features[asked][:, :, None] - means) ** 2).sum(-1)
        return np.asarray(far.argmin(-1) == np.arange(len(means))[:, None])

    return answer


def regression(features: np.ndarray, strength: float) -> Answer:
    """Answer by logistic regression on features `[N, D]`."""
    from imgrec.learning import probe

    def answer(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        labels = np.repeat(np.arange(len(known)), known.shape[1])
        head = probe.solve(features[known.ravel()], labels, len(known), strength)
        return head.outputs(features[asked]).argmax(-1) == np.arange(len(known))[:, None]

    return answer


def chosen(features: np.ndarray, rows: np.ndarray, shot: int) -> float:
    """Return the strength of regression that is right most often on these episodes."""
    tried = {
        float(strength): share(regression(features, strength), rows, shot)[0]
        for strength in 10.0 ** np.arange(-3, 4)
    }
    return max(tried, key=tried.__getitem__)


def pixels(images: np.ndarray) -> np.ndarray:
    """Return the pixels as features, `[N, 784]`."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def imagenet() -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives an ImageNet network's features of images."""
    import cv2
    import keras

    from imgrec.learning.features import JUDGE
    from imgrec.models import build_model
    from imgrec.models.pretrained import IMAGENET, load_pretrained

    model = build_model(JUDGE, (SIDE, SIDE, 3), 1000)
    load_pretrained(model, IMAGENET)
    inner = keras.Model(model.inputs, model.get_layer("features").output)

    def look(images: np.ndarray) -> np.ndarray:
        large = np.stack([cv2.resize(image, (SIDE, SIDE)) for image in images])
        colour = np.repeat(large[..., None], 3, axis=-1).astype(np.float32)
        return np.asarray(inner.predict(colour, batch_size=256, verbose=0))

    return look


def features_of(run: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives a run's features of images."""
    import keras

    from imgrec import bundle

    model = bundle.load(run).model
    inner = keras.Model(model.inputs, model.get_layer("logits").input)
    return lambda images: np.asarray(
        inner.predict(images[..., None].astype(np.float32), batch_size=256, verbose=0)
    )


def adapted(run: Path, images: np.ndarray, steps: int) -> Answer | None:
    """Answer after gradient steps from a run of maml; None of another run."""
    import keras
    import tensorflow as tf

    from imgrec import bundle
    from imgrec.learning.maml import Inner, Maml
    from imgrec.registry import build
    from imgrec.spec import Spec

    loaded = bundle.load(run)
    spec = Spec.parse(loaded.config["loss"]["method"])
    if spec.name != "maml":
        return None
    model = loaded.model
    inner = keras.Model(model.inputs, model.get_layer("logits").input)
    rate = build({"maml": Maml}, spec.name, "method", spec.options).inner.rate
    move = Inner(rate, steps, order=1)

    @tf.function(reduce_retracing=True)
    def logits(known: Any, truth: Any, asked: Any) -> Any:
        return move(inner, known, truth, asked, [v.value for v in inner.non_trainable_variables])[0]

    def answer(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        truth = np.repeat(np.eye(len(known), dtype=np.float32), known.shape[1], axis=0)
        given = (images[rows.ravel()][..., None].astype(np.float32) for rows in (known, asked))
        first, second = given
        said = np.asarray(logits(first, truth, second)).argmax(1)
        return said.reshape(asked.shape) == np.arange(len(known))[:, None]

    return answer


if __name__ == "__main__":
    guarded(main)
