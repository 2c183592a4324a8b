"""What happens to a request for an answer, whatever carries it: who may ask, for what, and what it costs."""

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import parse_qs

from imgrec.serving.bodies import is_raw, picture_in, top_of
from imgrec.serving.limits import Limits, Token
from imgrec.serving.logs import Line, Log
from imgrec.serving.metrics import Metrics
from imgrec.serving.observed import Observers, Request, Seen, seen_of
from imgrec.serving.refusal import RefusedError, error_body
from imgrec.serving.shadowing import Shadowing
from imgrec.serving.source import Source, Version
from imgrec.serving.wire import EXPLAIN, INFER, NONE, PREDICT, Frame

Headers = Mapping[bytes, bytes]
_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
JSON, BINARY, PNG = b"application/json", b"application/octet-stream", b"image/png"
ROUTES = {PREDICT: "predict", INFER: "infer", EXPLAIN: "explain"}
"""What the metrics call a job."""
OPEN = frozenset(
    {"/", "/docs", "/openapi.json", "/page.css", "/page.js", "/v2/health/live", "/v2/health/ready"}
    | {"/dashboard", "/dashboard.css", "/dashboard.js"}
)
"""Paths that need no token: they tell nothing of a model."""


@dataclass(slots=True)
class Asked:
    """A request that was let in.

    route: predict or infer, for the metrics.
    version: who answers.
    frame: the job, without its body.
    size: bytes that are kept free for the body.
    key: what traffic is split by.
    begun: when its headers were whole.
    over: whether what was kept free for it has been given back.
    """

    route: str
    version: Version
    frame: Frame
    size: int
    key: str
    begun: float = field(default_factory=time.perf_counter)
    over: bool = False


@dataclass(slots=True)
class Answer:
    """A response without the parts that HTTP adds."""

    status: int
    body: bytes
    head: int = NONE
    retry_after: int = 0
    kind: bytes = JSON

    @classmethod
    def refusing(cls, refusal: RefusedError) -> "Answer":
        """The answer to a request that gets none."""
        return cls(refusal.status, error_body(str(refusal)), NONE, refusal.retry_after)


class Front:
    """The server's part in every answer.

    Attributes:
        source: the versions that answer.
        limits: what requests may cost.
        log: takes a line for each request, where there is one.
        observers: who is told of every image that was answered.
        shadowing: has a shadow answer, too, where there is one.
        unpacks: whether observers are handed pictures out of forms and JSON, too; it takes the event loop's
            time, and a picture that is the whole body costs nothing.
        draining: whether the server is about to end; it then isn't ready, but answers whoever still asks.
    """

    def __init__(self, source: Source, limits: Limits, token: Token) -> None:
        """Take what a server consists of."""
        self.source, self.limits, self.metrics = source, limits, Metrics(source)
        self.log: Log | None = None
        self.observers, self.unpacks, self.draining = Observers(), False, False
        self.shadowing = Shadowing(source, self.observers.tell)
        self._token, self._held = token, 0
        self._start, self._count = secrets.token_hex(6).encode(), count(1)

    def admit(self, path: str, headers: Headers) -> None:
        """Raise RefusedError where a token is missing."""
        if not self._token.admits(headers.get(b"authorization", b"")) and path not in OPEN:
            raise RefusedError(401, "expected the header Authorization: Bearer, with the server's token")

    def name_of(self, headers: Headers) -> bytes:
        """Return the request's id: the client's, if it is a sane one, or one of ours."""
        given = headers.get(b"x-request-id")
        if given is not None and _ID.fullmatch(given):
            return given
        return b"%s-%x" % (self._start, next(self._count))

    def begin(self, path: str, query: bytes, headers: Headers, name: bytes) -> Asked | None:
        """Return what is asked for, before the body is read; None of paths that ask for no answer.

        Raises:
            RefusedError: a wrong header, a body that is too large, or more requests than can be held.
        """
        key = _key(headers, name)
        if path == "/predict":
            version, frame = self.source.pick(key), Frame(0, PREDICT, _top(query) if query else 0)
        elif path == "/explain":
            version, frame = self.source.pick(key), Frame(0, EXPLAIN)
            if not version.facts.explains:
                raise RefusedError(404, "this model shows no maps: serve a run folder with --keras")
        elif found := _INFER.fullmatch(path):
            version, frame = self._model(found, key), Frame(0, INFER, head=_length(headers))
        else:
            return None
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RefusedError(415, "Content-Encoding: expected a body as it is, not compressed")
        said = headers.get(b"content-length")
        size = self.limits.bytes if said is None else int(said)
        if size > self.limits.bytes:
            raise self.too_large()
        if version.pool.waiting >= self.limits.waiting or self._held + size > self.limits.held:
            raise RefusedError(429, "too many requests are waiting; send it again", version.pool.patience)
        text = name + b"\n" + headers.get(b"content-type", b"")[:1000]
        self._held += size
        version.pool.held += 1
        return Asked(ROUTES[frame.code], version, frame._replace(text=text), size, key)

    def _model(self, found: "re.Match[str]", key: str) -> Version:
        if found[2] is None and self.source.knows(found[1]):
            return self.source.pick(key)
        version = self.source.named(found[1], found[2] or "")
        if version is None:
            raise RefusedError(404, "no such model or version")
        return version

    def too_large(self) -> RefusedError:
        """Return the refusal of a body that is larger than allowed."""
        return RefusedError(
            413, f"body: more than the {self.limits.bytes:,} bytes allowed; scale the picture down"
        )

    def ask(self, asked: Asked, body: bytes, done: Callable[[Answer], None]) -> None:
        """Have it answered; `done` is called once, whatever happens, perhaps at once."""

        def replied(reply: Frame | RefusedError) -> None:
            self.leave(asked)
            seen: list[Seen] = []
            if isinstance(reply, RefusedError):
                answer = Answer.refusing(reply)
            elif reply.code != 200:
                answer = Answer(reply.code, reply.body)
            else:
                png = asked.frame.code == EXPLAIN
                kind = PNG if png else JSON if reply.head == NONE else BINARY
                answer = Answer(200, reply.body, reply.head, kind=kind)
                if not png:
                    request = self._request(asked, body)
                    seen = seen_of(request, reply)
                    self.metrics.images(seen, reply.many)
            seconds = time.perf_counter() - asked.begun
            self.metrics.answered(asked.route, answer.status, seconds)
            done(answer)
            if self.log is not None and self.log.wants():
                self.log.request(_line(asked, answer.status, seconds, len(body), seen))
            self.observers.tell(seen)
            if seen:
                self.shadowing.ask(asked.version, frame, request)

        frame = asked.frame._replace(body=body)
        asked.version.pool.submit(frame, replied)

    def _request(self, asked: Asked, body: bytes) -> Request:
        """Return what observers are told of a request that was answered just now."""
        name, _, kind = asked.frame.text.decode("latin-1").partition("\n")
        picture = body if asked.frame.code == PREDICT and is_raw(kind) else None
        if picture is None and asked.frame.code == PREDICT and self.unpacks:
            picture, _ = picture_in(kind, body)
        role, seconds = self.source.role(asked.version), time.perf_counter() - asked.begun
        return Request(name, asked.key, role, asked.version.facts, seconds, picture)

    def refuse(self, path: str, refusal: RefusedError, name: bytes) -> Answer:
        """Return, and count, the answer to a request that goes to no worker; `name` is its id."""
        last = path.rpartition("/")[2]
        route = last if last in ROUTES.values() else "other"
        self.metrics.answered(route, refusal.status)
        self.noted(name, route, refusal.status, 0.0)
        return Answer.refusing(refusal)

    def noted(self, name: bytes, route: str, status: int, seconds: float) -> None:
        """Have a line written of a request that no worker answered."""
        if self.log is not None and self.log.wants():
            self.log.request(Line(name.decode("latin-1"), route, status, 1000 * seconds, 0))

    def leave(self, asked: Asked) -> None:
        """Give back the bytes of a request that is over."""
        if not asked.over:
            asked.over = True
            self._held -= asked.size
            asked.version.pool.held -= 1

    def headers(self, answer: Answer, name: bytes) -> list[tuple[bytes, bytes]]:
        """Return the headers of a response."""
        headers = [
            (b"content-type", answer.kind),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", name),
        ]
        if answer.head != NONE:
            headers.append((b"inference-header-content-length", b"%d" % answer.head))
        if answer.retry_after:
            headers.append((b"retry-after", b"%d" % answer.retry_after))
        if answer.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.draining or answer.status == 413:  # what follows of such a body is not worth reading
            headers.append((b"connection", b"close"))
        return headers


def _line(asked: Asked, status: int, seconds: float, size: int, seen: Sequence[Seen]) -> Line:
    """Return the line of a request that went to a worker; of several images it names the first."""
    name, facts = asked.frame.text.partition(b"\n")[0].decode("latin-1"), asked.version.facts
    line = Line(name, asked.route, status, 1000 * seconds, size, facts.version)._replace(
        waiting=asked.version.pool.waiting
    )
    if not seen or seen[0].label < 0:
        return line
    first = seen[0]
    return line._replace(label=facts.labels[first.label], probability=first.probability, margin=first.margin)


def _key(headers: Headers, name: bytes) -> str:
    """Return what traffic is split by: what the client says, so that it stays with one version, or the id."""
    given = headers.get(b"x-key")
    return (name if given is None or not _ID.fullmatch(given) else given).decode()


def _top(query: bytes) -> int:
    try:
        given = parse_qs(query.decode("latin-1"), max_num_fields=10)
    except ValueError:
        raise RefusedError(400, "query: more fields than there are options; expected ?top=N") from None
    return top_of(given["top"][0]) if "top" in given else 0


def _length(headers: Headers) -> int:
    said = headers.get(b"inference-header-content-length")
    if said is None:
        return NONE
    if not said.isdigit() or len(said) > 9:
        raise RefusedError(400, "Inference-Header-Content-Length: expected a whole number")
    return int(said)
