"""Attention rollout: how much of each patch reaches the answer of a plain vision transformer."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.explain.asked import Asked, Maps
from imgrec.explain.cam import enlarged

if TYPE_CHECKING:
    import keras

_ATTENTION = re.compile(r"stage\d+_attention")
NOTE = "of the whole picture, not of one class; above the least attended place"


def rollout(asked: Asked) -> Maps:
    """Follow attention from the answer back to the patches, through every block.

    Half of each block's step is its shortcut, the other half its attention, mean over the heads. From the
    class token, or where the network has none from the mean over all tokens, as it pools them. Values are
    above those of the least attended patch: with many patches all of them get some.

    Source: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020 (arXiv 2005.00928), § 3.
    """
    model = asked.network("rollout")
    if not fits(model):
        raise InputError(
            f"--explain rollout: {model.name} is no plain transformer, in which every place attends to every "
            "other from the first block to the last: take gradcam"
        )
    flow = tokens_reached(weights_of(model, asked.images))
    rows, columns = model.get_layer("stem_conv").output.shape[1:3]
    extra = flow.shape[1] - rows * columns
    reached = flow[:, 0, extra:] if extra else flow.mean(axis=1)
    maps = reached.reshape(-1, rows, columns).astype(np.float32)
    maps -= maps.min(axis=(1, 2), keepdims=True)
    return Maps("rollout", enlarged(maps, asked.sides), (NOTE,) * len(maps), about_class=False)


def fits(model: "keras.Model") -> bool:
    """Whether a model is a plain transformer: the attention of every stage is of all its tokens."""
    from imgrec.layers.transformer import SelfAttention, TokenEmbedding

    layers = {layer.name: layer for layer in model.layers}
    embeds = isinstance(layers.get("embedding"), TokenEmbedding)
    stages = [name for name in layers if re.fullmatch(r"stage\d+", name)]
    return embeds and all(isinstance(layers.get(f"{name}_attention"), SelfAttention) for name in stages)


def weights_of(model: "keras.Model", images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return each block's attention, float32 `[N, heads, tokens, tokens]` (query, key), input to output."""
    import keras

    blocks = [layer for layer in model.layers if _ATTENTION.fullmatch(layer.name)]
    before = keras.Model(model.input, [layer.input for layer in blocks], name=f"{model.name}_tokens")
    tokens = before(keras.ops.convert_to_tensor(images, "float32"), training=False)
    found = [layer.attention(each) for layer, each in zip(blocks, tokens, strict=True)]
    return [keras.ops.convert_to_numpy(keras.ops.cast(each, "float32")) for each in found]


def tokens_reached(weights: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Return how much of each token reaches each, `[N, tokens, tokens]` (to, from); rows sum to 1.

    Args:
        weights: for each block its attention `[N, heads, tokens, tokens]`, the first first.
    """
    count = weights[0].shape[-1]
    flow = np.eye(count)[None]
    for each in weights:
        step = 0.5 * each.astype(np.float64).mean(axis=1) + 0.5 * np.eye(count)
        flow = step / step.sum(axis=-1, keepdims=True) @ flow
    return flow
