"""A worker's answers: from the frames that the server sends to the bodies that HTTP carries."""

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from imgrec.data.header import ImageFault
from imgrec.data.preprocess import Preprocess
from imgrec.serving import protocol_v2
from imgrec.serving.batching import fitting_batch
from imgrec.serving.bodies import picture_in
from imgrec.serving.facts import Facts
from imgrec.serving.marking import Marking
from imgrec.serving.predictor import Predictor
from imgrec.serving.refusal import RefusedError, error_body
from imgrec.serving.wire import EXPLAIN, NONE, PREDICT, Frame, packed_marks
from imgrec.tasks.classes import ClassTask
from imgrec.unknown.scores import Seen

if TYPE_CHECKING:
    from imgrec.explain.pictures import Explainer

TOP = 5
"""Classes named unless a request says how many."""
STATUS = {"too_large": 413, "not_an_image": 415, "unsupported_format": 415}
"""Of faults of an image by their code; any other is 400."""
Finish = Callable[[Seen], tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Taken:
    """A job's images, uint8 `[N, H, W, C]`, and what makes a body of what the model says of them."""

    images: NDArray[np.uint8]
    finish: Finish


class Answering:
    """A predictor behind the frames of `wire`."""

    def __init__(self, predictor: Predictor, name: str, version: str, platform: str) -> None:
        self._predictor, self._task, self._preprocess = predictor, predictor.task, predictor.preprocess
        self._model, self._marking = (name, version), Marking(predictor)
        explains = predictor.runtime.model is not None and isinstance(self._task, ClassTask)
        self._explainer: Explainer | None = None
        shown = {"explains": True} if explains else {}
        self._opening = json.dumps({"name": name, "version": version, **shown}).encode()
        picture = _noise(self._preprocess.shape)
        self.batch, seconds = fitting_batch(
            lambda size: self.answer([Frame(1, PREDICT, body=picture)] * size)
        )
        self.facts = Facts(
            name=name,
            version=version,
            platform=platform,
            task=self._task.name,
            labels=self._task.classes,
            shape=self._preprocess.shape,
            outputs=predictor.predict(np.empty((0, *self._preprocess.shape), np.uint8)).shape[1],
            batch=self.batch,
            milliseconds=round(1000 * seconds, 4),
            marks=self._marking.names,
            explains=explains,
        )

    def answer(self, jobs: Sequence[Frame]) -> list[Frame]:
        """Return the reply to each job; the images of all are answered together."""
        taken = [self._taken(job) for job in jobs]
        images = [part.images for part in taken if isinstance(part, Taken)]
        total = sum(map(len, images))
        try:
            whole = np.concatenate(images) if total else np.empty((0, *self._preprocess.shape), np.uint8)
            seen = self._marking.seen(whole)
            marks = self._marking.rows(whole, seen)
        except Exception:
            traceback.print_exc()  # for the server's log; the client learns that it was not its fault
            return [_refused(job, RefusedError(500, "internal error")) for job in jobs]
        replies, start = [], 0
        for job, part in zip(jobs, taken, strict=True):
            if not isinstance(part, Taken):
                replies.append(_refused(job, part) if isinstance(part, RefusedError) else part)
                continue
            end = start + len(part.images)
            body, head = part.finish(seen[start:end])
            replies.append(Frame(job.number, 200, total, head, packed_marks(marks[start:end]), body))
            start = end
        return replies

    def _taken(self, job: Frame) -> Taken | Frame | RefusedError:
        """Return what is to be answered for a job, its reply, or why there is none."""
        try:
            name, _, content_type = job.text.decode("latin-1").partition("\n")
            if job.code == EXPLAIN:
                return self._explained(job, content_type)
            return self._picture(job, name, content_type) if job.code == PREDICT else self._tensors(job)
        except RefusedError as refusal:
            return refusal
        except ImageFault as fault:
            return RefusedError(STATUS.get(fault.code, 400), str(fault))
        except Exception:
            traceback.print_exc()
            return RefusedError(500, "internal error")

    def _picture(self, job: Frame, name: str, content_type: str) -> Taken:
        picture, top = picture_in(content_type, job.body)
        images = self._preprocess.on_bytes(picture)[None]

        def finish(seen: Seen) -> tuple[bytes, int]:
            (answer,) = self._marking.decoded(seen, top or job.many or TOP)
            said = json.dumps(answer, ensure_ascii=False).encode()
            return b'{"id": "%s", "model": %s, %s' % (name.encode(), self._opening, said[1:]), NONE

        return Taken(images, finish)

    def _explained(self, job: Frame, content_type: str) -> Frame:
        """Return the reply to a request for a map; what draws it is imported when the first one comes."""
        from imgrec.explain.pictures import Explainer

        picture, _ = picture_in(content_type, job.body)
        if self._explainer is None:
            self._explainer = Explainer(*self._predictor.parts)
        return Frame(job.number, 200, body=self._explainer.pictures(picture)[0].png)

    def _tensors(self, job: Frame) -> Taken:
        request = protocol_v2.read(job.body, job.head, self._preprocess)
        given = request.inputs
        images = given if isinstance(given, np.ndarray) else _decoded(given, self._preprocess)

        def finish(seen: Seen) -> tuple[bytes, int]:
            answers = self._marking.decoded(seen, job.many or TOP)
            return protocol_v2.write(request, np.ascontiguousarray(seen.scores), answers, self._model)

        return Taken(images, finish)


def _noise(shape: Sequence[int]) -> bytes:
    """Return a JPEG of the size that the model takes."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return cv2.imencode(".jpg", cv2.GaussianBlur(pixels, (9, 9), 3))[1].tobytes()


def _decoded(pictures: Sequence[bytes], preprocess: Preprocess) -> NDArray[np.uint8]:
    rows = [preprocess.on_bytes(data, f"image {k}") for k, data in enumerate(pictures)]
    return np.stack(rows)


def _refused(job: Frame, refusal: RefusedError) -> Frame:
    return Frame(job.number, refusal.status, body=error_body(str(refusal)))
