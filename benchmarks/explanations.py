"""Do the maps show where a network looks? Two checks that need no eye, on objects whose place is known.

python -m benchmarks.explanations [--epochs 8] [--images 3000] [--test 150] [--out FILE.json]

Pictures of the embedded sample, every other pixel of them, are pasted at random places of noise of 28×28
pixels: a network that names them has to find them. ResNet-8 and a small ViT are trained on such, then
explained by every method that fits.

- pointing game (Zhang et al., 2018, arXiv 1608.00507): how often a map's highest place lies on the object, of
  the pictures that are answered right. By chance it does in a quarter of them: 14² of 28² pixels.
- randomised weights (Adebayo et al., 2018, arXiv 1810.03292): layers get new random weights, from the top
  down; Spearman's rank correlation of the maps with those of the trained network, mean over pictures. A map
  that stays as it was shows edges of the picture, not what the network learned.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.stats import spearmanr

from imgrec import runtimes
from imgrec.data.sources.sample import CLASSES, load_sample
from imgrec.explain.asked import Asked
from imgrec.explain.methods import EXPLANATIONS, explain, fitting
from imgrec.models import build_model, info
from imgrec.spec import Spec
from imgrec.tasks.multiclass import Multiclass

CANVAS, SIDE = 28, 14
CHANCE = (SIDE / CANVAS) ** 2
RATES = {"resnet8": 3e-3, "vit_small_image": 1e-3}


def planted(images: np.ndarray, seed: int, canvas: int = CANVAS) -> tuple[np.ndarray, np.ndarray]:
    """Paste each picture at a random place of its own noise.

    Args:
        images: uint8 `[N, h, w, 1]`.
        seed: of places and noise.
        canvas: side of the results.

    Returns:
        uint8 `[N, canvas, canvas, 1]`, and the corners of the objects, int `[N, 2]`: top, left.
    """
    draw = np.random.default_rng(seed)
    height, width = images.shape[1:3]
    corners = draw.integers(0, (canvas - height + 1, canvas - width + 1), (len(images), 2))
    result = draw.integers(0, 256, (len(images), canvas, canvas, 1), np.uint8)
    for picture, image, (top, left) in zip(result, images, corners, strict=True):
        picture[top : top + height, left : left + width] = image
    return result, corners


def pointed(values: np.ndarray, corners: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return whether the highest place of each map `[N, H, W]` lies on its object, bool `[N]`.

    Of a map that is the same everywhere it does not.
    """
    flat = values.reshape(len(values), -1)
    place = np.stack(np.unravel_index(flat.argmax(axis=1), values.shape[1:]), axis=1)
    inside = ((place >= corners) & (place < corners + side)).all(axis=1)
    return inside & (np.ptp(flat, axis=1) > 0)


def cascade(model: keras.Model, fresh: keras.Model) -> Iterator[str]:
    """Give a model the weights of another, from the top down to one endpoint after the other.

    Args:
        model: is changed.
        fresh: the same network, with random weights.

    Yields:
        the endpoint down to which, itself included, the weights are random now; none that has no weights.
    """
    ends = set(info(model.name).endpoints)
    part, changed = "logits", False
    for layer in reversed(model.layers):
        if layer.name in ends:
            if changed:
                yield part
            part, changed = layer.name, False
        layer.set_weights(fresh.get_layer(layer.name).get_weights())
        changed = changed or bool(layer.weights)
    yield part


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of maps `[N, H, W]`, mean over the pictures; a flat map counts 0."""
    found = [
        float(spearmanr(a.ravel(), b.ravel()).statistic) if np.ptp(a) and np.ptp(b) else 0.0
        for a, b in zip(one, other, strict=True)
    ]
    return float(np.mean(found))


def trained(name: str, images: np.ndarray, labels: np.ndarray, epochs: int) -> keras.Model:
    """Train a model of the zoo on pictures as they are."""
    keras.utils.set_random_seed(0)
    model = build_model(name, images.shape[1:], int(labels.max()) + 1)
    steps = epochs * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=RATES[name], warmup_steps=max(1, steps // 10)
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images.astype(np.float32), labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def methods_of(model: keras.Model) -> list[str]:
    """The names of the explanations that fit a model."""
    cams = [] if fitting(runtimes.of_model(model)) == "rollout" else [n for n in EXPLANATIONS if "cam" in n]
    return [*(cams or ["rollout"]), "integrated_gradients", "occlusion"]


def maps_of(model: keras.Model, images: np.ndarray, classes: np.ndarray, line: str) -> np.ndarray:
    """Return one explanation's maps of the classes, float32 `[N, H, W]`."""
    task = Multiclass(tuple(map(str, range(model.output_shape[-1]))))
    return explain(Asked(runtimes.of_model(model), task, images, classes), Spec.parse(line)).values


def study(name: str, data: Sequence[np.ndarray], epochs: int) -> dict[str, Any]:
    """Train one model on planted pictures (images, labels, test images, labels); return its figures."""
    images, labels, tests, answers = data
    images, tests = images[:, ::2, ::2], tests[:, ::2, ::2]
    model = trained(name, planted(images, 1)[0], labels, epochs)
    pictures, corners = planted(tests, 2)
    said = model.predict(pictures.astype(np.float32), verbose=0).argmax(axis=1)
    right = said == answers
    pictures, corners, said = pictures[right], corners[right], said[right]
    before = {line: maps_of(model, pictures, said, line) for line in methods_of(model)}
    figures: dict[str, Any] = {"accuracy": float(right.mean()), "images": int(right.sum()), "chance": CHANCE}
    figures["pointing"] = {line: float(pointed(maps, corners).mean()) for line, maps in before.items()}
    figures["likeness"] = {line: {} for line in before}
    keras.utils.set_random_seed(1)
    fresh = build_model(name, model.input_shape[1:], len(CLASSES))
    some = slice(0, 20)
    for endpoint in cascade(model, fresh):
        for line, maps in before.items():
            now = maps_of(model, pictures[some], said[some], line)
            figures["likeness"][line][endpoint] = likeness(maps[some], now)
    return figures


def table(name: str, figures: dict[str, Any]) -> str:
    """Return the figures of one model as a table of Markdown."""
    ends = list(next(iter(figures["likeness"].values())))
    lines = [
        f"{name}: accuracy {figures['accuracy']:.3f}, {figures['images']} pictures; by chance {CHANCE:.0%}",
        f"| map | highest place on the object | {' | '.join(f'down to {end}' for end in ends)} |",
        "|---" * (len(ends) + 2) + "|",
    ]
    for line, share in figures["pointing"].items():
        row = [f"{figures['likeness'][line][end]:.2f}" for end in ends]
        lines.append(f"| `{line}` | {100 * share:.0f} % | {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, explain, print, and write what was found."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--epochs", type=int, default=8)
    words.add_argument("--images", type=int, default=3000)
    words.add_argument("--test", type=int, default=150)
    words.add_argument("--models", nargs="+", choices=tuple(RATES), default=list(RATES))
    words.add_argument("--out", type=Path)
    asked = words.parse_args()
    source = load_sample()
    data = (
        *(part[: asked.images] for part in (source.train.images, source.train.labels)),
        *(part[: asked.test] for part in (source.test.images, source.test.labels)),
    )
    found = {}
    for name in asked.models:
        found[name] = study(name, data, asked.epochs)
        print(table(name, found[name]), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
