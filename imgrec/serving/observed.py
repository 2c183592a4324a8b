"""What was seen of a request once it is answered, for whoever watches, compares or collects."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from imgrec.serving.facts import Facts
from imgrec.serving.wire import Frame, marks_of


class Seen(NamedTuple):
    """An image that was answered; a request for several has one for each, with the same id.

    id: of the request.
    key: what traffic is split by: the header X-Key, else the id.
    role: of the version that answered: active, canary or shadow.
    facts: of that version.
    label: index of the most probable class, -1 where a task names none.
    probability: of that class, 0…1.
    margin: how much more probable it is than the second.
    values: brightness, contrast, sharpness (but of pictures that come faster than these are measured);
        unlikeness and unknown (0 or 1) where the run has them and it costs little.
    seconds: from headers to answer.
    picture: the encoded file, where the body was one, else None.
    """

    id: str
    key: str
    role: str
    facts: Facts
    label: int
    probability: float
    margin: float
    values: Mapping[str, float]
    seconds: float
    picture: bytes | None


Observer = Callable[[Seen], None]
"""Is told of every image after its answer was handed out, in the event loop: it is to be quick."""


class Request(NamedTuple):
    """What all images of a request have in common; see `Seen`."""

    id: str
    key: str
    role: str
    facts: Facts
    seconds: float
    picture: bytes | None = None


def seen_of(request: Request, reply: Frame) -> list[Seen]:
    """Return what a worker's reply, with status 200, says of each image."""
    facts = request.facts
    return [
        Seen(
            request.id,
            request.key,
            request.role,
            facts,
            int(label),
            probability,
            margin,
            _values(facts.marks, values),
            request.seconds,
            request.picture,
        )
        for label, probability, margin, *values in marks_of(reply, 3 + len(facts.marks))
    ]


def _values(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Return what was measured; where images come too fast for that some of it is left out."""
    named = dict(zip(names, values, strict=True))
    return named if values[0] == values[0] else {name: v for name, v in named.items() if v == v}


class Observers(list[Observer]):
    """Those who are told; one that fails is logged the first time, and harms nobody."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._failed: set[Observer] = set()

    def tell(self, seen: Sequence[Seen]) -> None:
        """Tell each of them of each image."""
        for observer in self:
            try:
                for each in seen:
                    observer(each)
            except Exception:
                if observer not in self._failed:
                    self._failed.add(observer)
                    logging.getLogger(__name__).exception("an observer failed; it is not said again")
