"""Batch normalisation folded: the same function, and exactly the int8 weights that a file has; groups too."""

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from quantized_nets import answers, pictures, train
from small_nets import small_net

from imgrec.compression import qat
from imgrec.export import litert
from imgrec.export.inspect import describe
from imgrec.layers.fake_quant import mode
from imgrec.layers.normalization import BatchNormalization
from imgrec.layers.rounded_kernel import RoundsKernel
from imgrec.runtimes import open_runtime


def trained_net(groups: int = 1) -> keras.Model:
    """Statistics and factors of its normalisations are those of a training, and some more."""
    keras.utils.set_random_seed(0)
    model = small_net(groups=groups)
    train(model, 10, rate=1e-2)
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            gamma, *others = layer.get_weights()
            layer.set_weights([gamma * draw.uniform(0.2, 3, gamma.shape), *others])
    return model


def test_folded_without_rounding_it_is_the_same_function() -> None:
    model, images = trained_net(), pictures(64, size=8)[0]
    quantized = qat.prepare(model)
    with mode("bypass"):
        folded = answers(quantized, images)
    exact = answers(model, images)
    assert np.abs(folded - exact).max() < 1e-5 * np.abs(exact).max()


def kernels_in(path: Path) -> list[np.ndarray]:
    """The int8 kernels of a file's convolutions and dense layers, as it keeps them."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    weighted = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    operators = [o for o in interpreter._get_ops_details() if o["op_name"] in weighted]
    return [interpreter.get_tensor(o["inputs"][1]) for o in operators]


@pytest.mark.parametrize("groups", [1, 4])
def test_a_file_s_weights_are_the_folded_ones_bit_for_bit(groups: int, tmp_path: Path) -> None:
    images = pictures(200, seed=9, size=8)[0]
    quantized = qat.prepare(trained_net(groups), images[:64])
    train(quantized, 3, rate=1e-3)
    path = litert.to_int8(quantized, tmp_path / "folded.tflite")
    held = [kernel.ravel().tolist() for kernel in kernels_in(path)]
    layers = [la for la in quantized.layers if isinstance(la, RoundsKernel)]
    assert len(layers) == 4
    for layer in layers:
        levels, _ = layer.levels()
        order = {4: (3, 0, 1, 2), 2: (1, 0)}[levels.ndim]
        laid = levels.reshape(3, 3, 8) if "depthwise" in layer.name else levels.transpose(order)
        assert laid.ravel().tolist() in held, layer.name
    answered, expected = open_runtime(path).answer(images), answers(quantized, images)
    assert np.mean(answered.argmax(1) == expected.argmax(1)) >= 0.99
    grouped = [o for o in describe(path) if o.name == "CONV_2D" and o.inputs[1].shape[-1] == 8 // groups]
    assert any(o.inputs[0].dtype == o.inputs[1].dtype == "int8" for o in grouped)
