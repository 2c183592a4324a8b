"""What training would see: a contact sheet, before anything is trained."""

import math
from pathlib import Path

import numpy as np

from pipelines.job import Job


def preview(job: Job, out: Path) -> int:
    """Write `OUT.preview.png` with the first pictures of training, augmented and mixed; return 0."""
    from imgrec.bundle import write_file
    from imgrec.data.augment.sheet import contact_sheet, title_of

    count = job.config.run.preview
    epochs = math.ceil(count / (job.batch_size * job.steps_per_epoch))
    pictures: list[np.ndarray] = []
    titles: list[str] = []
    for images, targets in job.training_stream(epochs).batches(0):
        pictures += list(np.clip(np.rint(images), 0, 255).astype(np.uint8))
        titles += [title_of(target, job.source.classes) for target in targets.numpy()]
        if len(pictures) >= count:
            break
    sheet = contact_sheet(np.stack(pictures[:count]), titles[:count])
    path = out.with_name(f"{out.name}.preview.png")
    write_file(path, lambda temporary: sheet.savefig(temporary, format="png"))
    print(f"{count} training pictures: {path}")
    return 0
