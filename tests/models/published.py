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
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    # imgclsmob's table of CIFAR-10 models; the paper prints 1.7M and 10.2M for the last two
    "preact_resnet20": 272_282,
    "preact_resnet164": 1_703_258,
    "preact_resnet1001": 10_327_706,
    # Howard 2017, table 1: convolutions, normalisations and a dense head; timm's listing has 4.23 M
    "mobilenet_v1": 3_185_088 + 21_888 + 1_025_000,
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
    "mobilevit_xs": 2_317_848,
    "mobilevit_s": 5_578_632,
    # patches 6,272, positions 8,192, six blocks of 132,480, last normalisation 256, head 1,290
    "vit_small_image": 6_272 + 8_192 + 6 * 132_480 + 256 + 1_290,
}

GMACS: dict[str, str] = {
    "alexnet": "0.714",
    "vgg11": "7.61",
    "vgg13": "11.31",
    "vgg16": "15.47",
    "vgg19": "19.63",
    "vgg11_bn": "7.61",
    "vgg13_bn": "11.31",
    "vgg16_bn": "15.47",
    "vgg19_bn": "19.63",
    "googlenet": "1.498",
    "inception_v3": "5.713",
    "resnet18": "1.814",
    "resnet34": "3.664",
    "resnet50": "4.089",
    "resnet101": "7.801",
    "resnet152": "11.514",
    "squeezenet1_0": "0.819",
    "squeezenet1_1": "0.349",
    "densenet121": "2.834",
    "densenet169": "3.36",
    "densenet201": "4.291",
    # Howard et al. 2017, table 4: 569 million
    "mobilenet_v1": "0.569",
    "mobilenet_v2": "0.301",
    "mobilenet_v3_small": "0.057",
    "mobilenet_v3_large": "0.217",
    "shufflenet_v2_x0_5": "0.04",
    "shufflenet_v2_x1_0": "0.145",
    "shufflenet_v2_x1_5": "0.296",
    "shufflenet_v2_x2_0": "0.583",
    "efficientnet_b0": "0.386",
    "efficientnet_b1": "0.687",
    "efficientnet_b2": "1.088",
    "efficientnet_b3": "1.827",
    "efficientnet_b4": "4.39",
    "efficientnet_b5": "10.27",
    "efficientnet_b6": "19.07",
    "efficientnet_b7": "37.75",
    "convnext_tiny": "4.46",
    "convnext_small": "8.68",
    "convnext_base": "15.36",
    # timm's listing
    "vit_ti_16": "1.26",
    "vit_s_16": "4.61",
    "vit_b_16": "17.56",
    "vit_b_32": "4.41",
    "vit_l_16": "61.56",
    "swin_t": "4.49",
    "swin_s": "8.74",
    "swin_b": "15.43",
    # timm's listing
    "coatnet_0": "4.58",
}
"""Multiply-accumulates of one image at the default size, 10⁹, as printed: the last digit is rounded."""

NO_PUBLISHED_MACS: dict[str, str] = {
    "lenet5": "the paper counts connections of its sparse C3",
    "resnet8": "ours, an extension of the paper's table",
    "resnet14": "ours, an extension of the paper's table",
    "resnet20": "the paper gives parameters alone",
    "resnet56": "the paper gives parameters alone",
    "preact_resnet20": "the paper gives parameters alone",
    "preact_resnet164": "the paper gives parameters alone",
    "preact_resnet1001": "the paper gives parameters alone",
    "vit_small_image": "ours",
    "mobilevit_xxs": "no figure for this size at hand",
    "mobilevit_xs": "no figure for this size at hand",
    "mobilevit_s": "no figure for this size at hand",
    # timm lists 0.40, 0.62, 0.89, 1.65 and 4.04 G, Google 407, 631 and 899 M multiply-adds for the first
    # three: 2.5 to 5 % more than the convolutions and dense layers hold. The same arithmetic gives
    # torchvision's figure for EfficientNet-B0…B7 to the last digit.
    "efficientnet_lite0": "published counts include more than convolutions and dense layers",
    "efficientnet_lite1": "published counts include more than convolutions and dense layers",
    "efficientnet_lite2": "published counts include more than convolutions and dense layers",
    "efficientnet_lite3": "published counts include more than convolutions and dense layers",
    "efficientnet_lite4": "published counts include more than convolutions and dense layers",
}
"""Why a model's multiply-accumulates are compared with no one else's."""
