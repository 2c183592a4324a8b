"""timm's training loader, in a process of its own because it needs PyTorch; started by `benchmarks.input`.

python benchmarks/timm_loader.py FOLDER BATCH SIDE WORKERS: for every line `N` on standard input it takes N
batches and answers with the wall and the processor seconds they took, the workers' own included.
"""

import multiprocessing
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Answer until standard input ends."""
    import torch
    from timm.data import FastCollateMixup, ImageDataset, create_loader

    folder, batch, side, workers = sys.argv[1], *map(int, sys.argv[2:5])
    loader = create_loader(
        ImageDataset(folder),
        (3, side, side),
        batch,
        is_training=True,
        scale=(0.35, 1.0),
        color_jitter=0.0,
        auto_augment="rand-m9-n2",
        interpolation="bilinear",
        num_workers=workers,
        device=torch.device("cpu"),
        collate_fn=FastCollateMixup(mixup_alpha=0.2, cutmix_alpha=1.0, num_classes=10),
    )
    print("ready", flush=True)
    for line in sys.stdin:
        wall, processor, left = time.perf_counter(), _processor_seconds(), int(line)
        while left:
            for _ in loader:
                left -= 1
                if not left:
                    break
        print(time.perf_counter() - wall, _processor_seconds() - processor, flush=True)


def _processor_seconds() -> float:
    """Of this process and of the loader's workers, which stay alive."""
    ticks = 0
    for pid in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
