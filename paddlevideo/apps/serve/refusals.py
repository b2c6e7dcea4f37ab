"""Every way in which the service says no: an HTTP status, a WebSocket close code, and words."""

import json
from dataclasses import dataclass

_REASON_BYTES = 120  # a close frame has room for 123


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal.

    Attributes:
        name: in answers and metrics.
        status: of HTTP.
        close_code: of WebSocket (RFC 6455, section 7.4, and the registry it begins).
    """

    name: str
    status: int
    close_code: int


MALFORMED = Refusal("malformed", 400, 1007)
ORIGIN = Refusal("origin", 403, 1008)
HOST = Refusal("host", 403, 1008)
NO_STREAMS = Refusal("no_streams", 404, 1008)
NOT_FOUND = Refusal("not_found", 404, 1008)
NOT_ALLOWED = Refusal("not_allowed", 405, 1008)
TOO_SLOW = Refusal("too_slow", 408, 1008)  # the client is
TOO_LARGE = Refusal("too_large", 413, 1009)
WRONG_TYPE = Refusal("wrong_type", 415, 1003)
UNREADABLE = Refusal("unreadable", 422, 1007)
TOO_MANY = Refusal("too_many", 429, 1013)
FAILED = Refusal("failed", 500, 1011)
FULL = Refusal("full", 503, 1013)
CLOSING = Refusal("closing", 503, 1001)
TOOK_TOO_LONG = Refusal("took_too_long", 504, 1011)  # the service did

_SOON_OVER = (FULL, TOO_MANY)


class RefusedError(Exception):
    """A client is refused; not an error of the one who runs the service.

    Args:
        refusal: of which kind.
        message: in words: what was wrong, and what to do.
    """

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message

    def as_dict(self) -> dict[str, str]:
        """What a client gets as JSON."""
        return {"error": self.refusal.name, "message": self.message}

    def body_and_headers(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """The same as an answer of HTTP.

        The connection ends behind it: a body that was not read would be taken for the next request.
        """
        body = json.dumps(self.as_dict()).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"),
                   (b"content-length", b"%d" % len(body))]  # fmt: skip
        if self.refusal in _SOON_OVER:
            headers.append((b"retry-after", b"1"))
        return body, headers

    @property
    def reason(self) -> str:
        """The message, cut to what a close frame holds."""
        return self.message.encode()[:_REASON_BYTES].decode(errors="ignore")
