"""What others published about the models: trainable parameters and multiply-accumulates.

Parameters at the default size and number of classes. Unless a comment says otherwise they are torchvision
0.29's metadata, and the GMACs too.
"""

PARAMETERS: dict[str, int] = {
    # LeCun 1998 with C3 fully connected: 156 + 2,416 + 48,120 + 10,164 + 850
    "lenet5": 61_706,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904,
    # Without the auxiliary head; torchvision 0.28, built and counted
    "inception_v3": 23_834_568,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    # He et al. 2016, table 6 (0.27M, 0.85M): identity shortcuts' 269,722 and 853,018 and two projections
    "resnet20": 269_722 + 2_752,
    "resnet56": 853_018 + 2_752,
    # two blocks a stage less or more: 4,672 + 18,560 + 73,984 weights
    "resnet8": 272_474 - 2 * 97_216,
    "resnet14": 272_474 - 97_216,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "densenet121": 7_978_856,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    # Arithmetic on the paper's table, equal to timm's listing (4.65, 5.42, 6.09, 8.20, 13.01 M)
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
    "vit_b_16": 86_567_656,
    "vit_b_32": 88_224_232,
    "vit_l_16": 304_326_632,
    # timm 1.0.31, built and counted
    "vit_ti_16": 5_717_416,
    "vit_s_16": 22_050_664,
    "swin_t": 28_288_354,
    "swin_s": 49_606_258,
    "swin_b": 87_768_224,
    # timm 1.0.31, built and counted
    "coatnet_0": 25_036_820,
    "mobilevit_xxs": 1_272_024,
    "mobilevit_s": 5_578_632,
    # patches 6,272, positions 8,192, six blocks of 132,480, last normalisation 256, head 1,290
    "vit_small_image": 6_272 + 8_192 + 6 * 132_480 + 256 + 1_290,
}
