"""Kernels told apart by names that TensorFlow gave them, and their time added up."""

import pytest

from benchmarks.step_profile import kind_of, layer_of, own_time, shares, table

STEP = "StatefulPartitionedCall/"


@pytest.mark.parametrize(
    ("name", "operation", "kind"),
    [
        (f"{STEP}net/stem_conv_1/convolution", "_MklNativeConv2D", "convolution"),
        (
            f"{STEP}gradient_tape/net/conv/Conv2DBackpropFilter",
            "_MklNativeConv2DBackpropFilter",
            "convolution",
        ),
        (f"{STEP}net/stem_conv/convolution", "_MklNativePadWithFusedConv2D", "convolution"),
        (
            f"{STEP}gradient_tape/net/depthwise/DepthwiseConv2dNativeBackpropFilter",
            "_MklNativeDepthwiseConv2dNativeBackpropFilter",
            "depthwise convolution",
        ),
        (f"{STEP}net/logits_1/BiasAdd", "_MklNativeFusedMatMul", "matrix product"),
        (f"{STEP}net/attention/einsum", "_MklBatchMatMulV2", "matrix product"),
        (f"{STEP}net/bn_1/FusedBatchNormV3", "_MklNativeFusedBatchNormEx", "batch normalisation"),
        (f"{STEP}gradient_tape/net/Relu6/Relu6Grad", "Relu6Grad", "activation"),
        (f"{STEP}net/bn_1/mul_2", "Mul", "element-wise"),
        (f"{STEP}scaled_sgd/Mul_709", "Mul", "optimiser"),
        (f"{STEP}SGD/AssignAddVariableOp_1", "AssignAddVariableOp", "optimiser"),
        ("Sum_210", "Sum", "beside the step"),
        (f"{STEP}Bitcast_1", "Bitcast", "other"),
    ],
)
def test_a_kernel_is_named_for_what_it_does(name: str, operation: str, kind: str) -> None:
    assert kind_of(name, operation) == kind


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        (f"{STEP}gradient_tape/vit_ti_16_1/stage12_norm2_1/batchnorm/mul_1", "stage_norm"),
        (f"{STEP}mobilenet_v3_small_1/stage1_block1_se_1/scale_1/Mul", "stage_block_se"),
        (f"{STEP}resnet50_1/stem_bn_1/FusedBatchNormV3", "stem_bn"),
        (f"{STEP}AddN_33", "-"),
        (f"{STEP}scaled_sgd/Mul_709/ReadVariableOp", "-"),
        ("Sum_210", "-"),
    ],
)
def test_a_layer_is_named_without_its_numbers(name: str, layer: str) -> None:
    assert layer_of(name) == layer


def test_time_within_another_kernel_counts_once() -> None:
    spans = [(0, 100, "call", "Call"), (10, 40, "a", "Mul"), (20, 30, "b", "Add"), (50, 60, "c", "Mul")]
    found = {name: seconds for name, _, seconds in own_time([*reversed(spans), (100, 130, "d", "Sub")])}
    assert found == pytest.approx({"call": 60e-12, "a": 20e-12, "b": 10e-12, "c": 10e-12, "d": 30e-12})


def test_shares_are_those_of_a_step() -> None:
    kernels = [("a", "Mul", 1.0), ("b", "Mul", 2.0), ("c", "Conv2D", 9.0)]
    found = shares(kernels, 2, lambda kernel: kernel[1])
    assert [*found.items()] == [("Conv2D", (4.5, 0.5)), ("Mul", (1.5, 1.0))]
    assert table(found.items(), 6.0).splitlines()[1].split() == ["25.0%", "1500.00", "ms", "1", "×", "Mul"]
