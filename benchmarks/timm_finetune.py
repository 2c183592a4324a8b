"""PyTorch's side of `benchmarks.time_to_accuracy`: timm fine-tunes the same weights on the same images.

python -m benchmarks.timm_finetune SPLITS.json OUT.json --weights FILE.pth [--epochs 30] [--threads 2]

The recipe is the one fine-tuning command of timm's documentation (https://huggingface.co/docs/timm/
training_script, "Multi-label classification"): train.py --pretrained --batch-size 32 --epochs 30 --opt adamw
--lr 1e-4 --weight-decay 0.01, and for the rest train.py's own defaults: cosine to 0 after 5 epochs of warm-up
from 1e-5, label smoothing 0.1, random resized crops of 8 to 100 %, mirroring, colour jitter 0.4. --amp is
left out: the processor measured has no bfloat16. Fewer epochs shorten the warm-up in proportion.

Needs `pip install torch torchvision timm scikit-learn`; imgrec's own packages are not used. After each epoch
OUT.json has its row: processor seconds since the process began, without what judging the test images took.
Killed and started again, it goes on where it was (OUT.json.30.pt), and the seconds with it.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

NETWORK, SIDE, BATCH, RATE, DECAY, SMOOTHING = "tf_efficientnet_lite0", 224, 32, 1e-4, 0.01, 0.1
EPOCHS, WARMUP, WARMUP_RATE = 30, 5, 1e-5
MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
"""What the packaged weights were trained with."""


def rate_at(epoch: int, epochs: int) -> float:
    """The learning rate of an epoch, as timm's cosine schedule with warm-up has it, changed once an epoch."""
    warmup = round(WARMUP * epochs / EPOCHS)
    if epoch < warmup:
        return WARMUP_RATE + (RATE - WARMUP_RATE) * epoch / warmup
    return 0.5 * RATE * (1 + math.cos(math.pi * epoch / epochs))


def build(weights: Path, classes: int) -> Any:
    """timm's network with the packaged weights, matched by order; its head starts fresh.

    Raises:
        SystemExit: a tensor other than the head's has another shape.
    """
    import timm
    import torch

    model = timm.create_model(NETWORK, num_classes=classes)
    own = model.state_dict()
    given = list(torch.load(weights, map_location="cpu", weights_only=True).values())
    if len(given) != len(own):
        sys.exit(f"{weights}: {len(given)} tensors, expected the {len(own)} of {NETWORK}")
    for (name, tensor), value in zip(own.items(), given, strict=True):
        if not name.startswith("classifier"):
            if tensor.shape != value.shape:
                sys.exit(f"{weights}: {name} is {tuple(value.shape)}, expected {tuple(tensor.shape)}")
            tensor.copy_(value)
    return model.to(memory_format=torch.channels_last)


def datasets(splits: dict[str, list[tuple[str, int]]]) -> dict[str, Any]:
    """The images of each split through timm's transforms, those for training augmented."""
    import torch
    from PIL import Image
    from timm.data import create_transform

    common: dict[str, Any] = {"input_size": (3, SIDE, SIDE), "mean": MEAN, "std": DEVIATION}
    training = create_transform(**common, is_training=True, color_jitter=0.4, interpolation="random")
    judging = create_transform(**common, interpolation="bicubic", crop_pct=0.875)

    class Files(torch.utils.data.Dataset):
        def __init__(self, rows: list[tuple[str, int]], transform: Any) -> None:
            self.rows, self.transform = rows, transform

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            path, label = self.rows[index]
            with Image.open(path) as image:
                return self.transform(image.convert("RGB")), label

    return {name: Files(rows, training if name == "train" else judging) for name, rows in splits.items()}


def order_of(epoch: int, images: int) -> list[list[int]]:
    """The batches of an epoch, whole ones only: a function of its number, so that half an epoch can go on."""
    import torch

    order = torch.randperm(images, generator=torch.Generator().manual_seed(epoch)).tolist()
    return [order[start : start + BATCH] for start in range(0, images - BATCH + 1, BATCH)]


def judge(model: Any, files: Any) -> dict[str, float]:
    """Accuracy, and AUC of the second of two classes."""
    import torch
    from sklearn.metrics import roc_auc_score

    model.eval()
    shares, labels = [], []
    with torch.inference_mode():
        for images, targets in torch.utils.data.DataLoader(files, BATCH):
            shares.append(model(images.contiguous(memory_format=torch.channels_last)).softmax(1))
            labels.append(targets)
    share, label = torch.cat(shares), torch.cat(labels)
    answer = {"accuracy": float((share.argmax(1) == label).float().mean())}
    if share.shape[1] == 2:
        answer["auc"] = float(roc_auc_score(label.numpy(), share[:, 1].numpy()))
    return answer


class Training:
    """timm's training; its state is in a file after every tenth batch."""

    def __init__(self, model: Any, files: dict[str, Any], state: Path) -> None:
        import torch

        self.model, self.files, self.state = model, files, state
        self.optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
        self.loss_of = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []
        """Of the batches of this epoch that are done."""
        self.processor = self.wall = 0.0
        self.since = 0.0, time.perf_counter()
        if self.state.exists():
            held = torch.load(self.state, weights_only=False)
            model.load_state_dict(held["model"])
            self.optimizer.load_state_dict(held["optimizer"])
            torch.set_rng_state(held["random"])
            self.rows, self.losses, self.processor, self.wall = held["at"]
            self.start_clocks()

    def start_clocks(self) -> None:
        """From here on time counts."""
        self.since = time.process_time(), time.perf_counter()

    def stop_clocks(self) -> None:
        """Add what has passed since the clocks were started, and start them."""
        self.processor += time.process_time() - self.since[0]
        self.wall += time.perf_counter() - self.since[1]
        self.start_clocks()

    def save(self) -> None:
        """Write all that going on needs."""
        import torch

        self.stop_clocks()
        at = self.rows, self.losses, self.processor, self.wall
        states = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**states, "random": torch.get_rng_state(), "at": at}, self.state.with_suffix(".new"))
        self.state.with_suffix(".new").replace(self.state)

    def epoch(self, rate: float) -> None:
        """Train on what is left of an epoch, and add its row."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        order = order_of(len(self.rows), len(self.files["train"]))[len(self.losses) :]
        for images, targets in torch.utils.data.DataLoader(self.files["train"], batch_sampler=order):
            self.optimizer.zero_grad()
            loss = self.loss_of(self.model(images.contiguous(memory_format=torch.channels_last)), targets)
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
            if len(self.losses) % 10 == 0:
                self.save()
        val = judge(self.model, self.files["val"])
        self.stop_clocks()
        row = {"epoch": len(self.rows) + 1, "loss": sum(self.losses) / len(self.losses), "val": val}
        row |= {"processor_s": self.processor, "wall_s": self.wall}
        row["test"] = judge(self.model, self.files["test"])
        self.start_clocks()
        self.rows.append(row)
        self.losses = []
        self.save()
        print(json.dumps(row), flush=True)


def main() -> None:
    """Fine-tune, and write a row an epoch."""
    parser = argparse.ArgumentParser(description="timm's documented fine-tuning, on a processor.")
    parser.add_argument("splits", type=Path, help="{train, val, test: [[file, label], …]} as JSON")
    parser.add_argument("out", type=Path, help="where the rows go")
    parser.add_argument("--weights", type=Path, required=True, help="the packaged EfficientNet-Lite0 .pth")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="30 in the documented command")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    given = parser.parse_args()
    try:
        import sklearn  # noqa: F401
        import timm  # noqa: F401
        import torch
    except ImportError as error:
        sys.exit(f"{error.name} is not installed: pip install torch torchvision timm scikit-learn")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    splits = json.loads(given.splits.read_text(encoding="utf-8"))
    model = build(given.weights, 1 + max(label for _, label in splits["train"]))
    state = given.out.with_name(f"{given.out.name}.{given.epochs}.pt")
    training = Training(model, datasets(splits), state)
    while len(training.rows) < given.epochs:
        training.epoch(rate_at(len(training.rows), given.epochs))
        held = {"epochs": given.epochs, "rows": training.rows}
        given.out.write_text(json.dumps(held, indent=1), encoding="utf-8")
    state.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
