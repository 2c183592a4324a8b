"""What a user may ask of `predict --explain`; read by its help, so nothing heavy is imported here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgrec.data.preprocess import Preprocess
    from imgrec.runtimes import Runtime
    from imgrec.tasks.task import Task


@dataclass(frozen=True)
class ExplainSettings:
    """Pictures of what answers rest on."""

    explain: str = ""
    """Draw what each answer rests on: gradcam, gradcam_plus_plus, hirescam, rollout, integrated_gradients or
    occlusion; several as gradcam|occlusion(window=8); without a name the one that fits the model."""
    explain_class: str = ""
    """The class to explain, in place of each image's most probable one."""
    explain_out: Path = Path("explanations")
    """Folder of the pictures that --explain draws."""

    @property
    def looks_inside(self) -> bool:
        """Whether the Keras model has to answer. Raises InputError for an explanation that there is not."""
        if not self.explain:
            return False
        from imgrec.explain.methods import looks_inside, parse

        return looks_inside(parse(self.explain))

    @property
    def said(self) -> str:
        """Where the pictures are, as the end of a sentence; empty where none are asked for."""
        return f", pictures in {self.explain_out}" if self.explain else ""

    def along(
        self,
        answering: "tuple[Runtime, Preprocess, Task]",
        rows: Iterable[dict[str, Any]],
        files: Sequence[Path],
    ) -> Iterator[dict[str, Any]]:
        """Give the rows of files as they come, each with `explained` where pictures are asked for.

        Raises:
            InputError: before the first row, as `drawing.Drawing`; later, as `Explainer.pictures`.
        """
        if not self.explain:
            return iter(rows)
        from imgrec.explain.drawing import Drawing

        drawing = Drawing(answering, self.explain, self.explain_out, self.explain_class)
        return (drawing.explained(row, file) for row, file in zip(rows, files, strict=True))
