"""Equal ranges are written once: smaller files of the same tensors and answers."""

from pathlib import Path

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from imgrec.compression import qat
from imgrec.export import litert
from imgrec.export.graph_edit import pack
from imgrec.export.inspect import describe
from imgrec.runtimes import open_tflite

CHANNELS = 64


def test_a_zero_point_for_each_channel_is_written_once(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = image
    for number in range(4):
        x = keras.layers.Conv2D(CHANNELS, 1, activation="relu", name=f"conv{number}")(x)
    x = keras.layers.Dense(4, name="logits")(keras.layers.GlobalAveragePooling2D(name="features")(x))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    made = litert.to_int8(qat.prepare(keras.Model(image, x), pixels), tmp_path / "made.tflite")
    content = made.read_bytes()
    shared = tmp_path / "shared.tflite"
    shared.write_bytes(pack(schema.ModelT.InitFromPackedBuf(content)))
    # Of four kernels and four biases one vector of zeros is left.
    assert len(content) - shared.stat().st_size > 7 * 8 * CHANNELS - 1000
    assert describe(shared) == describe(made)
    assert np.array_equal(open_tflite(shared).answer(pixels), open_tflite(made).answer(pixels))
