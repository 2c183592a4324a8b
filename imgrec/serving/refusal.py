"""Why a request gets no answer: a status of HTTP and one line, which names nothing of the server."""

import json


class RefusedError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP.
        retry_after: seconds after which it may be sent again; 0 where that is of no use.
    """

    def __init__(self, status: int, words: str, retry_after: int = 0) -> None:
        super().__init__(words)
        self.status, self.retry_after = status, retry_after


def error_body(words: str) -> bytes:
    """Return the body of a request that gets no answer."""
    return json.dumps({"error": words}, ensure_ascii=False).encode()
