"""SavedModel folders, as TensorFlow Serving takes them: `<name>/<version>/`, with two signatures.

`serving_default` takes uint8 pixels `image` `[N, H, W, 3]` that are prepared already; `bytes` takes encoded
JPEG and PNG files, string `[N]`, and prepares them in the graph. Both give `probabilities`, float32
`[N, classes]`, and `classes`, the names in that order, string `[N, classes]`. The texts that belong to it are
in its assets.
"""

import tempfile
from pathlib import Path
from typing import Any

import keras

from imgrec.engines.saved_model import BYTES, PIXELS, SavedModel
from imgrec.engines.versions import VERSION
from imgrec.errors import InputError
from imgrec.export.card import Card, answering, in_float32
from imgrec.export.graph_edit import IMAGE
from imgrec.export.in_graph import prepare
from imgrec.export.litert import ExportError
from imgrec.export.luma import luma
from imgrec.files import write_folder, write_text


def to_float32(model: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a trained model as a folder of one version.

    Args:
        model: functional, `[B, H, W, C]` pixels in 0…255 in, logits out.
        path: of the folder that holds the version's.
        card: what the folder says of itself. Where it has adaptive steps, which no graph has, there is no
            signature of bytes.

    Raises:
        ExportError: TensorFlow does not read what it wrote.
    """
    path, single = Path(path), answering(in_float32(model), card)

    def write(unfinished: Path) -> None:
        with tempfile.TemporaryDirectory() as texts:
            _save(single, unfinished / VERSION, card, Path(texts))
        try:
            SavedModel(unfinished)
        except InputError as error:
            raise ExportError(f"{path.name}: {error}") from error

    write_folder(path, write)
    return path


def _save(single: keras.Model, folder: Path, card: Card, texts: Path) -> None:
    """Write the version's folder; `texts` is an empty one for what becomes its assets."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = [variable.value for variable in single.variables]
    module.assets = []
    for name, text in card.companions.items():
        write_text(texts / name, text)
        module.assets.append(tf.saved_model.Asset(str(texts / name)))
    height, width, channels = single.inputs[0].shape[1:]
    names = tf.constant(card.task.classes)

    def answer(pixels: Any) -> dict[str, Any]:
        scores = single(luma(pixels) if channels == 1 and pixels.shape[-1] == 3 else pixels, training=False)
        return {card.output: scores, "classes": tf.tile(names[None], (tf.shape(scores)[0], 1))}

    def from_pixels(image: Any) -> dict[str, Any]:
        return answer(tf.cast(image, tf.float32))

    def from_bytes(encoded: Any) -> dict[str, Any]:
        one = tf.TensorSpec((height, width, channels), tf.float32)
        return answer(
            tf.map_fn(lambda data: prepare(data, card.preprocess), encoded, fn_output_signature=one)
        )

    image = tf.TensorSpec((None, height, width, 3), tf.uint8, name=IMAGE)
    signatures = {PIXELS: tf.function(from_pixels, input_signature=[image])}
    if not card.preprocess.adapts:
        given = tf.TensorSpec((None,), tf.string, name=BYTES)
        signatures[BYTES] = tf.function(from_bytes, input_signature=[given])
    tf.saved_model.save(module, str(folder), signatures)
