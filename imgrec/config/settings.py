"""The settings of a run by section, with their defaults; each docstring is the flag's `--help`."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from imgrec.config.facts import auto, setting

if TYPE_CHECKING:  # what the program meets once `runs.deciding` has run: numbers
    Whole = int
    Real = float
else:
    Whole = int | Literal["auto"]
    Real = float | Literal["auto"]

Resize = Literal["crop", "letterbox", "stretch"]
Crop = Literal["auto", "none", "pad", "random_resized"]
Policy = Literal["strict", "quarantine", "skip"]
Choice = Literal["auto", "true", "false"]
Cache = Literal["auto", "memory", "none"]
FoldOver = Literal["train", "all"]
Head = Literal["auto", "solved", "trained"]
Lang = Literal["en", "zh"]
Optimizer = Literal["auto", "sgd", "adamw", "adam", "rmsprop", "lion", "lamb", "muon"]


@dataclass(frozen=True)
class Images:
    """Where images come from, and which of them are passed over; what every command over a set asks for."""

    data: str = setting("sample", resume=True, tune=False)
    """Where the images are: sample, a folder (class/… or train/class/…, val/…, test/…), csv:FILE (columns
    path and label, or labels joined by |), npz:FILE, idx:DIR (MNIST format), tfds:NAME[:DATA_DIR] or
    keras:NAME. Without given splits: 7:2:1, stratified, by seed."""
    download: bool = setting(False, resume=True)
    """Let tfds:NAME fetch and prepare a set that is not on disk; otherwise it asks no network."""
    quarantine: str = ""
    """List of images to leave out, one id a line; by default quarantine.txt in the data folder, if it is
    there."""
    max_pixels: int = setting(50_000_000, above=0)
    """Images with more pixels than this are refused before they are decoded."""
    max_bytes: int = setting(200_000_000, above=0)
    """Files with more bytes than this are refused before they are read."""

    def data_config(self, **more: Any) -> "DataConfig":
        """Return these, and `more`, as settings of the data."""
        return DataConfig(**{f.name: getattr(self, f.name) for f in fields(Images)}, **more)


@dataclass(frozen=True)
class DataConfig(Images):
    """What to learn from, and how a file becomes pixels."""

    image_size: int = setting(0, low=0)
    """Side of the square input in pixels; 0 takes the data's own size up to 64, else the model's, and
    always the model's with --weights."""
    colour: Literal["auto", "grey", "rgb"] = "auto"
    """Channels of the input; auto is grey only when every training image is."""
    resize: Resize = "crop"
    """How another shape is brought to the square: centre crop, letterbox (grey bars) or stretch."""
    task: str = "auto"
    """What is asked of an image: multiclass (one class) or multilabel (any number of them); auto goes by the
    labels."""
    long_tail: float = 0.0
    """For experiments: leave an exponential long tail of the training images, the first class this many
    times as large as the last; 0 leaves all."""
    adapt: str = "none"
    """Steps that mend what an image's own statistics show, in training and ever after, joined by |:
    lowlight, gamma, equalize or clahe (dark), dehaze (hazy), stretch (flat), balance (tinted), denoise
    (noisy), standardize (always); lowlight(100) moves a threshold. auto: lowlight|dehaze. none: off. The
    report judges them against off."""
    extra_data: str = ""
    """A folder with more training images, one folder a class, such as pipelines.synthesize writes; validation
    and test have none of them."""
    new_classes: str = ""
    """A folder with classes beside those of the data, one folder of pictures a class, as
    pipelines.enroll adds them: all are for training, unless they lie in train/, val/ and test/."""
    cache: Cache = setting("auto", resume=True)
    """Keep decoded images in memory: auto where they take at most half of what is free, memory always,
    none never."""
    audit: bool = True
    """Look for copies of images (leaks between splits, one image under two labels) before training;
    every file is decoded once in any case. Results are cached."""
    policy: Policy = "strict"
    """What to do about broken files: strict stops before training, quarantine lists them in --quarantine
    and trains without them, skip trains without them. Nothing is deleted."""
    fold: str = setting("", tune=False)
    """Train for one fold of a cross-validation, such as 1/5, and judge what it holds out in out_of_fold.csv;
    python -m pipelines.crossval does that for every fold. Empty: no folds."""
    fold_over: FoldOver = setting("train", tune=False)
    """What the folds divide: the training and validation images, while the test split stays apart (train), or
    all images."""
    split_seed: int = setting(-1, low=-1, tune=False)
    """Seed of splits that are made, of folds and of --long-tail alone, so that runs of several --seed share
    them; −1: --seed."""


@dataclass(frozen=True)
class ModelConfig:
    """Which network."""

    model: str = "auto"
    """The architecture, with options such as "resnet20(attention=cbam, width=32)"; an unknown name lists the
    known. auto: efficientnet_lite0 with pretrained weights, else resnet20 up to 64 px and resnet18 above."""


@dataclass(frozen=True)
class AugmentConfig:
    """What training images go through; evaluation sees none of it."""

    augment: str = ""
    """Operations on every training image, joined by |, instead of --crop and --flip, such as
    "resized_crop|flip|randaugment(2, 9)"; an unknown one lists the known. See docs/augmentation.md."""
    crop: Crop = "auto"
    """Random crop: pad (pad and crop back, small images), random_resized, none; auto chooses by size, and
    none for short trainings and tiny networks."""
    crop_share: float = setting(0.125, low=0, high=1)
    """Zeros that pad adds on each side, as a share of the size: 1/8 is 4 pixels around 32."""
    flip: bool = True
    """Mirror left to right with probability ½."""
    mixup: float = setting(0.0, low=0)
    """Mixup's Beta parameter α; 0 switches it off."""
    cutmix: float = setting(0.0, low=0)
    """CutMix's Beta parameter α; 0 switches it off."""
    mix_probability: float = setting(1.0, low=0, high=1)
    """Share of batches that are mixed, when Mixup or CutMix is on."""
    cutmix_share: float = setting(0.5, low=0, high=1)
    """Share of the mixed batches that CutMix takes when both are on; Mixup has the others."""
    mix_epochs: int = setting(0, low=0)
    """Number of first epochs in which batches are mixed; 0: all. The last ones are often better unmixed."""
    erasing: float = setting(0.0, low=0, high=1)
    """Share of images of which a random rectangle is hidden under noise (random erasing)."""
    erasing_area: float = setting(0.4, low=0, high=1)
    """Largest share of an image that erasing hides."""


@dataclass(frozen=True)
class OptimConfig:
    """How the weights move."""

    epochs: Whole = auto(above=0)
    """Passes over the training images. auto: as many as make enough updates, within --minutes."""
    batch_size: int | Literal["auto", "fastest"] = setting("auto", above=0)
    """Images a step, over all devices together. auto goes by the number of images. fastest times this network
    here and takes the fewest that keep the device busy; the rate stays as it is."""
    optimizer: Optimizer = "auto"
    """auto (what the network's family learns by), sgd (with Nesterov momentum), adamw or adam (one and the
    same, for all decay is decoupled), rmsprop, lion, lamb, or muon (AdamW for all but the kernels before the
    head)."""
    learning_rate: Real = auto(above=0)
    """Peak of the rate, reached after the warm-up. auto: by the network's family, optimiser and batch."""
    layer_decay: Real = auto(above=0, high=1)
    """Learning rate of each depth group (stem, stage1 …) relative to the next one nearer to the head."""
    momentum: float = setting(0.9, low=0, below=1)
    """Momentum of SGD, RMSprop and Muon."""
    weight_decay: Real = auto(low=0)
    """Decoupled decay a step, times the rate; spares biases, normalisation and embeddings. auto: by family
    and optimiser."""
    l1: float = setting(0.0, low=0)
    """Times the sum of the kernels' absolute values, added to the loss, validation's too."""
    l2: float = setting(0.0, low=0)
    """Times the sum of the kernels' squares, added to the loss, validation's too."""
    clip_norm: float = setting(0.0, low=0)
    """Shorten the whole gradient to this norm where it is longer; 0 never."""
    schedule: str = "cosine"
    """How the rate moves after the warm-up: cosine, restarts (SGDR), step, polynomial, one_cycle, plateau (of
    the validation loss) or constant; with options, such as "step(at=[30, 60])"."""
    warmup_epochs: float = setting(1.0, low=0)
    """Epochs of linear warm-up, a fifth of the training at most."""
    accumulate: int = setting(1, low=1)
    """Batches whose gradients are averaged before each update: as a batch this many times as large."""
    ema: float = setting(0.0, low=0, below=1)
    """Validate, keep and export a moving average of the weights with this share of the old at each update,
    such as 0.999; 0: the weights themselves."""
    swa_epochs: int = setting(0, low=0)
    """In this many last epochs, validate and keep the average of the weights since they began (SWA), with the
    statistics of batch normalisation measured anew."""
    sam: float = setting(0.0, low=0)
    """Radius of sharpness-aware minimisation, such as 0.05: twice the computation; 0: none."""
    sam_adaptive: bool = False
    """Measure that radius in shares of each weight (ASAM); wants about ten times the radius."""
    label_smoothing: float = setting(0.1, low=0, high=1)
    """Share of the target spread evenly over all classes."""
    mask_loss: float = setting(0.0, low=0)
    """Weight of the loss that teaches the mask of attention=occlusion what --erasing hid."""
    patience: Whole = auto(low=0)
    """Stop after this many epochs without a better validation accuracy; 0 never stops early. auto: 0 where
    the schedule says when the training ends, else a fifth of the epochs."""
    on_nan: Literal["stop", "rollback"] = setting("stop", resume=True)
    """When the loss or a weight is no number any more: stop, or return to the last checkpoint with half the
    rate (rollback, three times at most). mixed_float16 skips such steps by itself, and counts them."""

    @classmethod
    def plain(cls, **values: Any) -> "OptimConfig":
        """Return numbers, for who calls the trainer directly: those of SGD, but for `values`."""
        numbers = {"epochs": 15, "batch_size": 128, "optimizer": "sgd", "learning_rate": 0.1}
        rest = {"layer_decay": 1.0, "weight_decay": 5e-4, "patience": 0}
        return cls(**{**numbers, **rest, **values})


@dataclass(frozen=True)
class LossConfig:
    """What training minimises, and what is done about classes of unequal size."""

    method: str = "auto"
    """How it learns: auto is what other settings ask for (--freeze: transfer, --mask-loss, --embedding-loss,
    --augmix-consistency, --teacher: distill), and else supervised."""
    teacher: str = setting("", resume=True, tune=False)
    """A finished run whose answers are learned from beside the labels, or several, joined by commas, whose
    mean is; of the same task and classes. How: --method "distill(temperature=4, alpha=0.9, hint=stage2)"."""
    loss: str = "auto"
    """cross_entropy, focal, binary_cross_entropy or binary_focal, with options such as "focal(gamma=2)"; all
    with --label-smoothing. auto: cross_entropy, or binary_cross_entropy for multi-label images, which learn
    by the binary ones alone."""
    embedding_loss: str = "none"
    """A loss on the features beside it: none, triplet (batch-hard, semi-hard) or supcon; with options such as
    "triplet(mining=semi_hard, margin=0.2)" or "supcon(temperature=0.1)"."""
    embedding_weight: float = setting(0.2, above=0)
    """Weight of --embedding-loss beside the loss of the logits."""
    augmix_consistency: float = setting(0.0, low=0)
    """Weight of a loss that asks for equal answers for an image and two AugMix views of it, 12 in its paper;
    a step then costs three times as much. 0: off."""
    imbalance: str = "none"
    """auto: measure the ratio and choose; class weights by inverse frequency (weights) or effective number
    (effective); sampling (balanced, sqrt, over, under); focal loss; logit adjustment; decoupled: the
    classifier once more, on balanced classes. Options: effective(beta=0.999), focal(gamma=2), logit(tau=1),
    decoupled(share=0.2). All but none choose the epoch by balanced accuracy."""


@dataclass(frozen=True)
class TransferConfig:
    """What the network knows before training, and which part of it learns."""

    weights: str = "auto"
    """Where training starts: none (random), imagenet, or a file of reference weights; a head of another
    number of classes is made anew. auto: imagenet for images above 64 px, where the network has packaged
    weights, else none."""
    freeze: str = "auto"
    """What stays as it is: none, backbone (all up to `features`), or all up to an endpoint such as stage3.
    auto: the backbone, where weights are pretrained and a solved head does all that is asked for."""
    head: Head = "auto"
    """How the head behind a frozen backbone comes about: solved (logistic regression on the backbone's
    features, its strength cross-validated: seconds) or trained (step by step). auto: solved where nothing
    asks for steps."""
    unfreeze_at: Whole = auto(low=0)
    """Epochs after which the frozen part learns too; 0 never. auto: after the solved head, where there are
    images enough and --minutes leave time."""
    cache_features: Choice = "auto"
    """Compute a frozen backbone's features once and train the head on them; auto: unless a random crop or
    mixing was asked for. Mirrored images (--flip) are cached too."""


@dataclass(frozen=True)
class QuantizeConfig:
    """What is exported beside the float32 file."""

    quantize: str = setting("auto", tune=False)
    """none: float32 only; float16: also with float16 weights; dynamic: also with int8 weights, activations
    rounded as it runs; ptq: also post-training int8; ptq_litert: the same by LiteRT's quantiser; qat: ptq,
    and int8 after quantisation-aware fine-tuning. ptq and qat have options, such as "qat(observer=percentile,
    float=[stem, logits], weights=4)", see docs/quantisation.md. auto: qat, or ptq with pretrained weights,
    whose fine-tuning would take longer than all else."""
    qat_epochs: int = setting(2, above=0)
    """Epochs of quantisation-aware fine-tuning."""
    qat_learning_rate: float = setting(0.001, above=0)
    """Peak rate of that fine-tuning (SGD with momentum)."""
    calibration_images: int = setting(256, above=0)
    """Training images that post-training quantisation and the start of QAT measure ranges on."""
    export_to: str = setting("tflite", resume=True, tune=False)
    """Formats of the files, joined by commas: tflite, onnx, saved_model, triton, openvino. All are judged;
    `pipelines.export --to` makes others later."""
    prune: str = setting("none", tune=False)
    """Files of a pruned network beside the float32 file: 0.5 (the share of multiply-accumulates to save by
    removing channels), "channels(macs=0.5, importance=taylor, multiple=8)", "weights(sparsity=0.8)" (zeros in
    place: smaller only when compressed), "low_rank(energy=0.9)" or "low_rank(macs=0.3)" (dense and 1 × 1
    layers as two thinner ones), each also with epochs=10 and rate=0.01 of its fine-tuning."""


@dataclass(frozen=True)
class RunConfig:
    """Where the run lands and what it runs on."""

    out: str = setting("saved_models/run", resume=True, tune=False)
    """Folder of the run; replaced only when it is an imgrec run folder, or empty."""
    minutes: Real = auto(low=0, tune=False)
    """How long the whole command may take, about: what is left to auto is chosen to fit; 0: no limit.
    auto: 10 on a processor, no limit on an accelerator."""
    members: int = setting(0, low=0, high=64, tune=False)
    """Train so many networks, with seeds from --seed on and the splits of the first, to OUT.members/, and
    make OUT their ensemble, by mean probability; 0: one network. See docs/ensembles.md."""
    seed: int = setting(0, tune=False)
    """Seed of split, weights, order, augmentation and mixing; equal seeds give equal histories."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Compute type; auto measures whether bfloat16 is faster on this hardware and else stays float32."""
    strategy: Literal["auto", "none", "mirrored", "multiworker", "tpu"] = setting("auto", resume=True)
    """Devices; auto takes one device, or mirrors over all GPUs where there are several. multiworker: several
    hosts, each running this very command with its own TF_CONFIG, the same data, and --out in a folder they
    share. With KERAS_BACKEND=jax, auto takes all devices; tpu insists on TPUs."""
    preview: int = setting(0, low=0, high=1000, resume=True, tune=False)
    """Write a contact sheet of this many training images to OUT.preview.png and stop; 0 trains."""
    lr_find: bool = False
    """Raise the rate step by step over a hundred steps, write the losses to OUT.lr_find.png, suggest a rate,
    and stop."""
    monitor_every: int = setting(0, low=0)
    """Every so many steps, note norms of gradients, weights and updates by depth, for history.csv and
    TensorBoard, and warn of those that vanish or explode; 0 never."""
    resume: bool = setting(False, resume=True, tune=False)
    """Insist on going on with an unfinished run of --out. That happens by itself where settings and data are
    the same, and is refused where they are not."""
    restart: bool = setting(False, resume=True, tune=False)
    """Throw an unfinished run of --out away and begin anew."""
    checkpoint_every: str = setting("10m", resume=True)
    """How often training is saved, beside the end of each phase: 25 (steps), 10m (minutes) or 1e (epochs)."""
    deterministic: bool = False
    """Only operations that give the same bits each time, so that a resumed run equals one that never stopped
    bit for bit; slower. Order, draws and step count are exact without it too."""
    tensorboard: bool = setting(True, resume=True, tune=False)
    """Write TensorBoard logs to the run folder's tensorboard/."""
    lang: Lang = setting("en", resume=True, tune=False)
    """Language of the report: en (English) or zh (Chinese, 中文). What is printed is English."""
