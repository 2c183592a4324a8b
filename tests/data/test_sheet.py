import io

import numpy as np
from pictures import picture
from PIL import Image

from imgrec.data.augment.sheet import contact_sheet
from imgrec.tasks.multiclass import Multiclass


def test_the_sheet_shows_every_picture_under_its_title():
    pictures = np.stack([picture(16, 16, phase=float(n)) for n in range(6)])
    sheet = contact_sheet(pictures, [f"$class_{n} {'long ' * 9}" for n in range(6)])
    assert len(sheet.axes) == 6
    for axes, pixels in zip(sheet.axes, pictures, strict=True):
        assert np.array_equal(axes.images[0].get_array(), pixels)
        assert axes.get_title().startswith("$class") and len(axes.get_title()) < 30
    stream = io.BytesIO()
    sheet.savefig(stream, format="png")
    image = Image.open(stream)
    assert image.width > 600 and image.height > 200
    # A grey image is shown in its own grey.
    grey = contact_sheet(np.full((1, 8, 8, 1), 60, np.uint8), ["one"])
    grey.savefig(stream := io.BytesIO(), format="png")
    shown = np.asarray(Image.open(stream).convert("L"))
    assert (shown == 60).mean() > 0.1


def test_titles_tell_what_was_mixed():
    task = Multiclass(("cat", "dog", "owl"))
    assert task.caption(np.array([0, 1, 0.0])) == "dog"
    assert task.caption(np.array([0.3, 0.004, 0.696])) == "owl 0.7 + cat 0.3"
    assert task.caption(np.array([1.0, 0.0, 1.0])) == "cat 1 + owl 1"
