"""Do the adaptive steps fire on dark and hazy images alone, and do they bring the accuracy back?

python -m benchmarks.adapt sample      a small network trained on the embedded sample as it is
python -m benchmarks.adapt photos      photographs, and EfficientNet-Lite0 on those of ImageNet

Low light and haze are made by `benchmarks.degrade`: exposures of some stops less with the noise of a
sensor, and Koschmieder's law with a random depth, β of 0.6…1.8 and airlight of 0.7…1. Each image is
answered as it comes (off), and by the same network after the steps of `--adapt auto`. `photos` needs
`pip install --no-deps foolbox==3.3.4 scikit-image "imgrec[pretrained]"` (photographs and weights, which stay
in these packages). The thresholds were set on the sample's training images and on the photographs called
"set on", and the share of haze that is taken off on validation images of the sample; all other figures are
of images that had no say in them.

Measured: the share of images that triggered the right step and no other, and accuracy.

    sample, 2,000 test images        right     off   steps   adaptive BN
    clear                           99.60 %  .8885   .8885   .8900
    2 stops under                   49.45 %  .8070   .8505   .8810
    3 stops under                  100.00 %  .7245   .8785   .8645
    4 stops under                  100.00 %  .6095   .8705   .8525
    5 stops under                  100.00 %  .4635   .8575   .8290
    haze                            98.70 %  .1035   .8300   .5165

    ImageNet photographs, 2 × 20
    clear                          100.00 %  .900    .900
    3 stops under                  100.00 %  .900    .850    within chance, as are 5 and 6
    5 stops under                  100.00 %  .825    .850
    6 stops under                  100.00 %  .725    .850
    7 stops under                  100.00 %  .525    .825
    haze                           100.00 %  .650    .925

On all 76 photographs: no step on any clear one, the right one on all of 3 to 5 stops under and on all hazy
ones, and on 61 to 70 % of 2 stops under.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import keras
import numpy as np

from benchmarks import degrade
from imgrec.config import AugmentConfig, DataConfig, OptimConfig
from imgrec.data import adapt
from imgrec.data.pipeline import Feed, evaluation_dataset, steps_per_epoch, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import Source, load_source
from imgrec.evaluation.adaptation import sign_test
from imgrec.learning.adaptive_bn import adapt_batch_norm
from imgrec.models import build_model
from imgrec.models.pretrained import load_pretrained
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.fit import Phase, fit_phases

Images = Sequence[np.ndarray]
Answer = Callable[[np.ndarray], np.ndarray]
EXPECTED = {"clean": (), "haze": ("dehaze",)}
"""The steps that ought to fire; on every other case, low light."""
_SKIMAGE = """
astronaut.png camera.png chelsea.png coffee.png coins.png grass.png gravel.png brick.png
moon.png motorcycle_left.png rocket.jpg ihc.png retina.jpg hubble_deep_field.jpg
"""
SKIMAGE = _SKIMAGE.split()


def degraded(images: Images, stops: Sequence[int], repeats: int = 1) -> dict[str, list[np.ndarray]]:
    """Return the images as they are, then `repeats` draws of them at each exposure, and hazy."""
    draw = np.random.default_rng(0)
    cases = {"clean": list(images)}
    for stop in stops:
        cases[f"{stop} stops under"] = [
            degrade.low_light(i, stop, draw) for _ in range(repeats) for i in images
        ]
    cases["haze"] = [_hazy(i, draw) for _ in range(repeats) for i in images]
    return cases


def _hazy(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    depth = degrade.scene_depth(*image.shape[:2], draw)
    return degrade.haze(image, draw.uniform(0.6, 1.8), draw.uniform(0.7, 1.0), depth)


def mended(images: Images, case: str) -> tuple[list[np.ndarray], float]:
    """Return the images after the steps of `auto`, and the share on which just the right ones fired."""
    results = [adapt.apply(image, adapt.AUTO) for image in images]
    expected = EXPECTED.get(case, ("lowlight",))
    return [image for image, _ in results], float(np.mean([fired == expected for _, fired in results]))


def compare(images: Images, labels: np.ndarray, case: str, answer: Answer, process: Preprocess) -> str:
    """One line of the table: how often the steps fire, accuracy without and with them."""
    after, fired = mended(images, case)
    truth = np.tile(labels, len(images) // len(labels))
    off, on = (
        answer(np.stack([process.on_array(image) for image in group])).argmax(axis=1) == truth
        for group in (images, after)
    )
    p = sign_test(int((on & ~off).sum()), int((off & ~on).sum()))
    what = "none fired" if case == "clean" else "right one fired"
    return (
        f"{case:>15}: {what} {fired:7.2%}; accuracy off {off.mean():.4f}, with {on.mean():.4f} (p = {p:.2g})"
    )


def trained(source: Source, epochs: int) -> keras.Model:
    """Train ResNet-8 on the sample as it is, without any step."""
    keras.utils.set_random_seed(0)
    process, classes = Preprocess((28, 28), "grey"), len(source.classes)
    model = build_model("resnet8", process.shape, classes, width=16, stem_pool=True)
    optim = OptimConfig.plain(epochs=epochs, batch_size=64, learning_rate=0.08)
    steps = steps_per_epoch(len(source.train), optim.batch_size)
    augment = AugmentConfig(crop="none")
    feed = Feed(process, Multiclass(source.classes).targets, augment, 64, 0)
    train = training_dataset(source.train, feed, steps=epochs * steps)
    validation = evaluation_dataset(source.val, process, feed.targets, 64)
    fit_phases(model, [Phase(train, validation, epochs)], optim=optim, steps_per_epoch=steps)
    return model


def answers(model: keras.Model) -> Answer:
    """The model as a function of uint8 images to logits."""
    return lambda images: model.predict(images.astype("float32"), batch_size=64, verbose=0)


def sample(epochs: int) -> None:
    """The table of the embedded sample's test images; adaptive BN beside it, without any step."""
    source = load_source(DataConfig(), seed=0)
    model, labels = trained(source, epochs), source.test.labels
    assert source.test.images is not None  # the embedded sample is in memory
    cases = degraded(source.test.images, (2, 3, 4, 5))
    for case, images in cases.items():
        print(compare(images, labels, case, answers(model), Preprocess((28, 28), "grey")), flush=True)
    learned = model.get_weights()
    order = np.random.default_rng(0).permutation(len(labels))
    for case, images in cases.items():
        model.set_weights(learned)
        adapt_batch_norm(model, np.stack(images)[order[:512]])
        accuracy = (answers(model)(np.stack(images)).argmax(axis=1) == labels).mean()
        print(f"{case:>15}: no step, adaptive BN from 512 images: accuracy {accuracy:.4f}", flush=True)


def photographs() -> dict[str, dict[str, np.ndarray]]:
    """The photographs of the installed packages, by group and name, RGB."""
    scikit, foolbox, sklearn = (_package(name) for name in ("skimage", "foolbox", "sklearn"))
    set_on = [scikit / "data" / name for name in SKIMAGE]
    set_on += sorted((sklearn / "datasets" / "images").glob("*.jpg"))
    set_on += sorted((foolbox / "data").glob("cifar10_*.png"))
    others = {name: sorted((foolbox / "data").glob(f"{name}_*")) for name in ("imagenet", "cifar100")}
    groups = {"set on": set_on, **others}
    return {group: {path.name: _read(path) for path in paths} for group, paths in groups.items()}


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"{name} is not installed; see python -m benchmarks.adapt --help")
    return Path(spec.origin).parent


def _read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path))
    assert pixels is not None, path
    return np.ascontiguousarray(pixels[..., ::-1])


def photos(repeats: int) -> None:
    """How often the steps fire on each group, then ImageNet's accuracy."""
    groups = photographs()
    for group, named in groups.items():
        for case, images in degraded(list(named.values()), (2, 3, 4, 5), 2).items():
            _, fired = mended(images, case)
            what = "none fired" if case == "clean" else "right one fired"
            print(f"{group:>9}, {len(images):3} images, {case:>13}: {what} {fired:7.2%}", flush=True)
    model = build_model("efficientnet_lite0", (224, 224, 3), 1000)
    load_pretrained(model, "imagenet", new_head=False)
    named = groups["imagenet"]
    labels = np.array([int(name.split("_")[2].split(".")[0]) for name in named])
    for case, images in degraded(list(named.values()), (3, 5, 6, 7), repeats).items():
        print(compare(images, labels, case, answers(model), Preprocess((224, 224))), flush=True)


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("sample", "photos"))
    parser.add_argument("--epochs", type=int, default=4, help="of the small network on the sample")
    parser.add_argument("--repeats", type=int, default=2, help="draws of each ImageNet photograph and case")
    options = parser.parse_args()
    if options.what == "sample":
        sample(options.epochs)
    else:
        photos(options.repeats)


if __name__ == "__main__":
    main()
