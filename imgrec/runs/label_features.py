"""What a network that learned on ImageNet sees in every image of a set, to judge labels by."""

import keras
import numpy as np

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.learning.features import cached_features
from imgrec.models import build_model, info
from imgrec.models.pretrained import load_pretrained

MODEL = "efficientnet_lite0"


def network_features(source: Source) -> np.ndarray:
    """Return features float32 `[N, 1280]` of the three splits in order, kept on disk for the next time.

    Raises:
        InputError: the weights are not installed.
    """
    side = info(MODEL).image_size
    model = build_model(MODEL, input_shape=(side, side, 3), num_classes=1000)
    load_pretrained(model, "imagenet")
    backbone = keras.Model(model.inputs, model.get_layer("features").output, name=f"{MODEL}_backbone")
    preprocess = Preprocess(size=(side, side), colour="rgb")
    held = cached_features(backbone, source.splits, preprocess, source.fingerprint)
    features = np.concatenate([held[name].views[0] for name in source.splits])
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6) * 3
