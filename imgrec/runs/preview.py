"""What training would see: a contact sheet, before anything is trained."""

import math
from pathlib import Path

import numpy as np

from imgrec.runs.session import Job


def preview(job: Job, out: Path) -> int:
    """Write `OUT.preview.png` with the first images of training, augmented and mixed; return 0."""
    from imgrec.data.augment.sheet import contact_sheet
    from imgrec.files import write_file

    count = job.config.run.preview
    sheet = contact_sheet(*training_images(job, count))
    path = out.with_name(f"{out.name}.preview.png")
    write_file(path, lambda temporary: sheet.savefig(temporary, format="png"))
    print(f"{count} training images: {path}")
    return 0


def training_images(job: Job, count: int) -> tuple[np.ndarray, list[str]]:
    """Return the first images that training sees, uint8 `[count, H, W, C]`, and what each shows."""
    from imgrec.data.augment.sheet import title_of

    epochs = math.ceil(count / (job.batch_size * job.steps_per_epoch))
    shown: list[np.ndarray] = []
    titles: list[str] = []
    for images, targets in job.training_stream(epochs).batches(0):
        shown += list(np.clip(np.rint(images), 0, 255).astype(np.uint8))
        titles += [title_of(target, job.source.classes) for target in targets.numpy()]
        if len(shown) >= count:
            break
    return np.stack(shown[:count]), titles[:count]
