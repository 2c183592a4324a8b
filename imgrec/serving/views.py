"""What a user may ask of several pictures of an object; read by help, so nothing heavy is imported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgrec.errors import InputError

if TYPE_CHECKING:
    from imgrec.serving.predictor import Predictor


@dataclass(frozen=True)
class ViewSettings:
    """Pictures that are of one object."""

    views: str = ""
    """Answer for objects by all their pictures: each folder is an object (folder), or all is one (all)."""

    def answers(
        self, predictor: "Predictor", run: Path, files: Sequence[Path], top: int, explained: str
    ) -> Iterator[dict[str, Any]]:
        """Give the answer for each file or object, see `objects.answers_of`.

        Raises:
            InputError: as `answers_of`, or maps are to be drawn (`explained`), which are of single pictures.
        """
        from imgrec.serving.objects import answers_of

        if self.views and explained:
            raise InputError(f"--explain is of single pictures: leave out --views {self.views}")
        return answers_of(predictor, run, files, self.views, top)
