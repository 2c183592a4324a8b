"""PyTorch's side of `benchmarks.train_step`: timm's network, trained eagerly, as its script does by default.

python -m benchmarks.timm_step NETWORK PRECISION SIDE BATCH LAYOUT: answers as `benchmarks.turns` has it.
LAYOUT is contiguous or channels_last.
"""

import os
import sys

from benchmarks.turns import Answering

CLASSES = 1000
RATE, MOMENTUM = 1e-3, 0.9


def main() -> None:
    """Train on one batch of noise in memory until nobody asks any more."""
    answering = Answering()
    import timm
    import torch

    network, precision, layout = *sys.argv[1:3], sys.argv[5]
    side, batch = map(int, sys.argv[3:5])
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    size = {"img_size": side} if network.startswith("vit") else {}
    form = {"memory_format": torch.channels_last if layout == "channels_last" else torch.contiguous_format}
    model = timm.create_model(network, num_classes=CLASSES, **size).train().to(**form)
    images = torch.randn(batch, 3, side, side).contiguous(**form)
    targets = torch.nn.functional.one_hot(torch.randint(CLASSES, (batch,)), CLASSES).float()
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, nesterov=True)
    loss_of, mixed = torch.nn.CrossEntropyLoss(), precision == "mixed_bfloat16"
    while True:
        answering.before_step()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = loss_of(model(images), targets)
        loss.backward()
        optimizer.step()
        loss.item()  # as a trainer that shows it


if __name__ == "__main__":
    main()
