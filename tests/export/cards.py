"""What a file says of itself, for tests of formats."""

from imgrec.data.preprocess import Preprocess
from imgrec.export.card import Card
from imgrec.tasks.multiclass import Multiclass


def card(name: str, size: int, colour: str = "rgb", classes: int = 5, **options: object) -> Card:
    """The card of a model of `classes` classes that takes square images."""
    names = tuple(f"class {number}" for number in range(classes))
    return Card(name, "made for a test", Multiclass(names), Preprocess((size, size), colour, **options))  # type: ignore[arg-type]
