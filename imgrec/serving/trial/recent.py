"""What was answered lately, by the request's id, until somebody says what was right."""

from collections import OrderedDict
from dataclasses import dataclass, field
from difflib import get_close_matches

from imgrec.serving.facts import Facts
from imgrec.serving.observed import Seen
from imgrec.serving.refusal import RefusedError

MOST = 100_000
LONGEST = 200
"""Letters of a label that is looked at."""


@dataclass(slots=True)
class Answered:
    """A request that was answered.

    key: what its traffic is split by.
    facts: of the version that answered.
    label: index of its answer, -1 where the task names no class.
    images: how many the request had.
    shadow: the shadow's facts and answer, where it was asked.
    told: what was right, once somebody said so.
    """

    key: str
    facts: Facts
    label: int
    images: int = 1
    shadow: tuple[Facts, int] | None = None
    told: str = ""


@dataclass(frozen=True)
class Feedback:
    """Somebody said what was on a picture.

    id: of the request.
    label: what is right.
    right: whether the answer was that.
    answered: what is known of the request.
    """

    id: str
    label: str
    right: bool
    answered: Answered


@dataclass
class Recent:
    """The latest answers, `MOST` at most."""

    most: int = MOST
    _held: "OrderedDict[str, Answered]" = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._held)

    def put(self, seen: Seen) -> Answered | None:
        """Take an image that was answered to a client; None of a further one of the same request.

        An id that comes again in another request stands for that one from then on.
        """
        before = self._held.get(seen.id)
        if before is not None and before.facts is seen.facts and not before.told and before.key == seen.key:
            before.images += 1
            return None
        answered = self._held[seen.id] = Answered(seen.key, seen.facts, seen.label)
        if len(self._held) > self.most:
            self._held.popitem(last=False)
        return answered

    def get(self, name: str) -> Answered | None:
        """Return what was answered to a request, if that is still known."""
        return self._held.get(name)

    def tell(self, name: str, label: str) -> Feedback | None:
        """Take what was right for a request; None where the same was said before.

        Raises:
            RefusedError: 404 of a request that is not known (any more); 409 where several images or no class
                were answered, or another label was said before; 400 of a label that the model doesn't know.
        """
        held = self._held.get(name)
        if held is None:
            raise RefusedError(404, f"no request with that id among the last {self.most:,} answers")
        if held.label < 0:
            raise RefusedError(409, "the model names no single class: feedback has nothing to compare with")
        if held.images > 1:
            raise RefusedError(409, "the request had several images: send each by itself to give feedback")
        if label not in held.facts.labels:
            near = get_close_matches(label[:LONGEST], held.facts.labels, 1) or held.facts.labels[:3]
            raise RefusedError(400, f"label: not one of the model's {len(held.facts.labels)}: {near[0]!r}, …")
        if held.told and held.told != label:
            raise RefusedError(409, "another label was told for that request before; the first one counts")
        if held.told:
            return None
        held.told = label
        return Feedback(name, label, held.facts.labels[held.label] == label, held)
