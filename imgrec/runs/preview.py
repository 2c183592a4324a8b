"""What training would see: a contact sheet, before anything is trained."""

import math
from pathlib import Path

import numpy as np

from imgrec.data.augment.sheet import contact_sheet
from imgrec.files import write_file
from imgrec.learning.session import Session


def preview(session: Session, out: Path) -> int:
    """Write `OUT.preview.png` with the first images of training, augmented and mixed; return 0."""
    count = session.config.run.preview
    sheet = contact_sheet(*training_images(session, count))
    path = out.with_name(f"{out.name}.preview.png")
    write_file(path, lambda temporary: sheet.savefig(temporary, format="png"))
    print(f"{count} training images: {path}")
    return 0


def training_images(session: Session, count: int) -> tuple[np.ndarray, list[str]]:
    """Return the first images that training sees, uint8 `[count, H, W, C]`, and what each shows."""
    epochs = math.ceil(count / (session.batch_size * session.steps_per_epoch))
    shown: list[np.ndarray] = []
    titles: list[str] = []
    for images, targets in session.stream(epochs).batches(0):
        shown += list(np.clip(np.rint(images), 0, 255).astype(np.uint8))
        titles += [session.task.caption(target) for target in targets.numpy()]
        if len(shown) >= count:
            break
    return np.stack(shown[:count]), titles[:count]
