"""A model's answers and the features that they are made of, for scores of what is unknown."""

import numpy as np

from imgrec.data.sources.dataset import Split
from imgrec.evaluation.subject import Subject
from imgrec.unknown.scores import Seen


def see(subject: Subject, split: Split) -> Seen:
    """Return what the subject's model says of the N ≥ 1 images of `split`, in their order."""
    from imgrec.data.pipeline import evaluation_dataset
    from imgrec.models.inside import look_inside

    look = look_inside(subject.model)
    outputs, features = [], []
    batches = evaluation_dataset(split, subject.preprocess, subject.task.targets, subject.batch_size)
    for pixels, _ in batches:
        answer, feature = look(np.asarray(pixels))
        outputs.append(answer)
        features += [] if feature is None else [feature]
    logits = np.concatenate(outputs)
    return Seen(subject.task.scores(logits), logits, np.concatenate(features) if features else None)


def some(split: Split, most: int, seed: int = 0) -> Split:
    """Return `split`, or where it has more than `most` images so many of them, drawn by the seed."""
    if len(split) <= most:
        return split
    return split.take(np.sort(np.random.default_rng(seed).permutation(len(split))[:most]))
