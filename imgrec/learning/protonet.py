"""Prototypical networks: a class is the mean of its support's features, and a query is of the nearest."""

from typing import Any

from keras import ops

from imgrec.learning.episodic import Episode, Episodic, FewShot, closeness
from imgrec.learning.session import Session
from imgrec.registry import lookup

METRICS = ("euclidean", "cosine")


class Prototypes(Episodic):
    """Answers for queries by how close their features are to the support's mean.

    Source: Snell, Swersky and Zemel, "Prototypical networks for few-shot learning", 2017 (arXiv 1703.05175),
    equations (1) and (2), algorithm 1.
    """

    def answers(self, images: Any) -> Any:
        """Return the logits of the queries."""
        return prototype_logits(self.features(images, training=True), self.episode, self.metric)


def prototype_logits(features: Any, episode: Episode, metric: str) -> Any:
    """Return float32 `[T × way × query, way]` of features `[T × way × images, D]`."""
    support, query = episode.parts(ops.cast(features, "float32"))
    prototypes = ops.mean(support, axis=2)
    asked = ops.reshape(query, (-1, episode.way * episode.query, query.shape[-1]))
    return ops.reshape(closeness(asked, prototypes, metric), (-1, episode.way))


class ProtoNet(FewShot):
    """`--method "protonet(way=20, shot=1)"`: features in which a class lies around the mean of a few
    pictures.

    Args:
        way, shot, query: as `FewShot`. More ways in training than in use did better in the paper (section
            2.6).
        metric: `euclidean` or `cosine`.

    Raises:
        InputError: an unknown metric, or a number out of its range.
    """

    def __init__(self, way: int = 20, shot: int = 1, query: int = 5, metric: str = "euclidean") -> None:
        super().__init__(way, shot, query)
        self.metric = lookup({name: name for name in METRICS}, metric, "metric of protonet")

    def part(self, session: Session, known: Any) -> Episodic:
        """Return the network that learns."""
        return Prototypes(session.model, self.episode, self.metric, known)
