"""What the audit costs beside decoding: both over the same files, one after the other, in one run.

python -m benchmarks.audit [FILES] [ROUNDS]      (default: 6,000 JPEG files of 500 × 375, 3 rounds)

Plain decoding reads every file and decodes it fully with the training decoder, on all cores, and does
nothing else. The audit does the same in worker processes, started anew, and also hashes, measures and
compares the images.
"""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks.paired import compare
from imgrec.data.audit.compare import image_facts
from imgrec.data.audit.duplicates import find_duplicates
from imgrec.data.audit.examine import Limits
from imgrec.data.audit.pool import examine_files
from imgrec.data.decode import decode
from imgrec.data.preprocess import read_file
from imgrec.data.sources.dataset import Split

LIMITS = Limits(max_pixels=50_000_000, max_bytes=200_000_000)


def write_photos(folder: Path, count: int) -> list[str]:
    """Fill `folder` with JPEG files that weigh and decode like photos; return their paths."""
    draw = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = draw.uniform(0, 255, (9, 12, 3)).astype(np.float32)
        fine = draw.normal(0, 25, (94, 125, 3)).astype(np.float32)
        image = cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC)
        image += cv2.resize(fine, (500, 375), interpolation=cv2.INTER_CUBIC)
        image += draw.normal(0, 4, image.shape)
        paths.append(str(folder / f"{number:05d}.jpg"))
        cv2.imwrite(paths[-1], np.clip(image, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return paths


def plain(paths: list[str]) -> None:
    """Decode every file on all cores."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(lambda path: decode(read_file(path), LIMITS.max_pixels).shape, paths):
            pass


def audited(paths: list[str]) -> None:
    """Examine every file and compare the images."""
    done = examine_files(paths, LIMITS)
    split = Split(ids=tuple(paths), labels=np.zeros(len(paths), np.int32), paths=tuple(paths))
    find_duplicates(image_facts({"train": split}, ("photo",), dict(zip(paths, done, strict=True))))


def main() -> None:
    """Print both rates and their ratio."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 6000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    cv2.setNumThreads(1)  # one image a core, as training decodes them
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), count)
        size = sum(os.path.getsize(path) for path in paths) / count / 1000
        ratio = compare(lambda: audited(paths), lambda: plain(paths), rounds=rounds, warmup=1)
    print(f"{count:,} JPEG files of 500 × 375, {size:.0f} KB each")
    print(f"audit {count / ratio.first:,.0f} files/s, plain decoding {count / ratio.second:,.0f} files/s")
    print(f"  {ratio.wall:.2f} × the speed of plain decoding ({ratio.cpu:.2f} × in processor time)")


if __name__ == "__main__":
    main()
