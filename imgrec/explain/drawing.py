"""The pictures of what answers rest on, written into a folder while the answers come."""

from collections import Counter
from pathlib import Path
from typing import Any

from imgrec import places
from imgrec.data.preprocess import Preprocess, read_file
from imgrec.explain.pictures import Explainer
from imgrec.files import write_file
from imgrec.runtimes import Runtime
from imgrec.tasks.task import Task


class Drawing:
    """Writes the pictures of each answer into one folder.

    A picture is named as its image and its explanation: `photo.jpg.gradcam.png`. Of images that share a
    name, in several folders, the second and further ones are counted: `photo.jpg-2.gradcam.png`.
    """

    def __init__(
        self, answering: tuple[Runtime, Preprocess, Task], line: str, out: Path, label: str = ""
    ) -> None:
        """Prove that pictures can be made and written.

        Args:
            answering: what answers, how it takes images, and what it means.
            line: explanations, as `Explainer` takes them.
            out: the folder, made if it is not there; pictures of the same names in it are replaced.
            label: the class to explain; by default each image's answer.

        Raises:
            InputError: as `Explainer`, a class that is not known, or a folder that cannot be written.
        """
        self._explainer = Explainer(*answering, line)
        self._explainer.check(label)
        places.make_folder(out)
        self._out, self._label, self._taken = out, label, Counter[str]()

    def explained(self, row: dict[str, Any], file: Path) -> dict[str, Any]:
        """Write the pictures of one answer; return the row with `explained`, a list of what was written.

        Its entries have `picture`, a path, `method`, `label`, `probability` and `note`. A row with an error
        stays as it is.
        """
        if "error" in row:
            return row
        self._taken[file.name] += 1
        again = f"-{self._taken[file.name]}" if self._taken[file.name] > 1 else ""
        told = []
        for picture in self._explainer.pictures(read_file(file), self._label, str(file)):
            path = self._out / f"{file.name}{again}.{picture.name}.png"
            write_file(path, lambda temporary, png=picture.png: temporary.write_bytes(png))  # type: ignore[misc]
            told.append({"picture": str(path), **picture.record()})
        return {**row, "explained": told}
