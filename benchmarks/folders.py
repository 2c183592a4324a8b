"""Four folders of real pictures, one folder a class, on which a command without flags is measured.

python -m benchmarks.folders --work DIR [cutouts] [elpv] [emoji] [sample]      (default: all four)

cutouts   photo cut-outs: Debian's `tuxpaint-stamps-default`, of its top folders those with 9 photos or more
elpv      solar cells, defective for certain (1) or not (0): `pip install elpv-dataset` (CC BY-NC-SA 4.0)
emoji     9 groups as two vendors draw them, 64 px: `npm pack emoji-datasource-google@16.0.0` and
          `emoji-datasource-twitter@16.0.0`, the two files in DIR or where --emoji says
sample    300 images of the embedded sample, 30 a class, 28 px and grey

The same packages give the same folders. Nothing of them belongs to this project or is passed on with it.
"""

import argparse
import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.elpv import package_folder
from imgrec.data.sources.sample import load_sample

STAMPS = Path("/usr/share/tuxpaint/stamps")
STAMPS_MOST, STAMPS_LEAST = 60, 9
VENDORS = ("google", "twitter")
SAMPLE_EACH = 30

Pictures = Iterator[tuple[str, str, bytes]]
"""Class, name of the file without its folder, and what is in it."""


def is_photo(path: Path) -> bool:
    """Tell a photo from a drawing: 4 kB or more in colour, a fifth of its pixels in one of their own."""
    with Image.open(path) as image:
        if image.mode not in ("RGBA", "RGB") or path.stat().st_size < 4000:
            return False
        pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    seen = pixels[pixels[:, 3] > 0]
    return bool(len(np.unique(seen, axis=0)) >= 0.2 * len(seen))


def cutouts(stamps: Path) -> Pictures:
    """Photos of animals, food …, at most 60 a class in order of name; signs (`symbols`) are none."""
    for folder in sorted(path for path in stamps.iterdir() if path.is_dir() and path.name != "symbols"):
        photos = [path for path in sorted(folder.rglob("*.png")) if is_photo(path)]
        if len(photos) >= STAMPS_LEAST:
            for path in photos[:STAMPS_MOST]:
                yield folder.name, "-".join(path.relative_to(folder).parts), path.read_bytes()


def elpv(package: Path) -> Pictures:
    """Cells whose defect is certain, or certainly not there: 1,508 as class 0 and 715 as class 1."""
    for line in (package / "labels.csv").read_text(encoding="utf-8").splitlines():
        file, share, _ = line.split()
        if float(share) in (0.0, 1.0):
            yield str(int(float(share))), Path(file).name, (package / file).read_bytes()


def emoji(archives: Path) -> Pictures:
    """Every emoji that both vendors draw, by its group, without single skin tones and hair (`Component`)."""
    for vendor in VENDORS:
        name = f"emoji-datasource-{vendor}"
        found = sorted(archives.glob(f"{name}-*.tgz"))
        if not found:
            sys.exit(f"{archives} holds no {name}-*.tgz: npm pack {name}@16.0.0")
        with tarfile.open(found[-1]) as archive:
            table = archive.extractfile("package/emoji.json")
            assert table is not None
            rows = {row["image"]: row for row in json.load(table)}
            for member in archive:
                parts = member.name.split("/")
                row = rows.get(parts[-1]) if parts[-2:-1] == ["64"] else None
                if row and row["category"] != "Component" and all(row[f"has_img_{v}"] for v in VENDORS):
                    group = row["category"].replace(" & ", "-").lower()
                    held = archive.extractfile(member)
                    assert held is not None
                    yield group, f"{vendor}-{parts[-1]}", held.read()


def sample() -> Pictures:
    """The first 30 training images of each class of the sample, as PNG."""
    data = load_sample()
    split = data.splits["train"]
    for label, name in enumerate(data.classes):
        for index in np.flatnonzero(split.labels == label)[:SAMPLE_EACH]:
            file = io.BytesIO()
            Image.fromarray(np.squeeze(split.images[index])).save(file, "PNG")
            yield name.replace("/", "-"), f"{index:05d}.png", file.getvalue()


def write(folder: Path, pictures: Pictures) -> str:
    """Fill `folder` anew and return one line: images, classes with their counts, a digest of all of it."""
    shutil.rmtree(folder, ignore_errors=True)
    counts: Counter[str] = Counter()
    digests = []
    for label, name, data in pictures:
        path = folder / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        counts[label] += 1
        digests.append(f"{label}/{name} {hashlib.sha256(data).hexdigest()}")
    total = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]
    held = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return f"{folder}: {counts.total():,} images in {len(counts)} classes ({held}); sha256 {total}…"


def main() -> None:
    """Build the folders asked for in DIR and say what is in each."""
    parser = argparse.ArgumentParser(description="Folders of real pictures for benchmarks.")
    parser.add_argument("folders", nargs="*", help="cutouts, elpv, emoji, sample; all where none is named")
    parser.add_argument("--work", type=Path, required=True, help="where the folders are written")
    parser.add_argument("--stamps", type=Path, default=STAMPS, help="where tuxpaint's stamps are installed")
    parser.add_argument("--elpv", type=Path, help="the data folder of elpv-dataset, if installed elsewhere")
    parser.add_argument("--emoji", type=Path, help="where npm pack left its files, if not in DIR")
    given = parser.parse_args()
    builders: dict[str, Callable[[], Pictures]] = {
        "cutouts": lambda: cutouts(given.stamps),
        "elpv": lambda: elpv(given.elpv or package_folder()),
        "emoji": lambda: emoji(given.emoji or given.work),
        "sample": sample,
    }
    if not given.stamps.is_dir() and "cutouts" in (given.folders or builders):
        sys.exit(f"{given.stamps}: not there; install Debian's package tuxpaint-stamps-default")
    for name in given.folders or builders:
        if name not in builders:
            sys.exit(f"no folder {name!r}; choose from {', '.join(builders)}")
        print(write(given.work / name, builders[name]()), flush=True)


if __name__ == "__main__":
    main()
