"""`SameOrigin`: pages of other sites, open in the same browser, may not use the service."""

import ipaddress
import json
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from paddlevideo.apps.serve.metrics import Metrics
from paddlevideo.apps.serve.refusals import ORIGIN, RefusedError
from paddlevideo.utils.errors import ConfigError, shown


class SameOrigin:
    """Refuses requests whose ``Origin`` is another site than the one that was asked.

    A browser lets any page open a WebSocket to this machine, and says where the page is from. A
    page that has moved its name to this machine's address (DNS rebinding) is known by its name.
    Programs state no origin, and are not concerned.

    Args:
        app: to guard.
        origins: that may use the service all the same, such as ``https://example.org``. They are
            told so (CORS).
        metrics: of the service.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], metrics: Metrics) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin", "")
        if origin and not self._is_allowed(origin, headers.get(b"host", "")):
            error = RefusedError(
                ORIGIN,
                f"pages of {origin[:200]} may not use this service (--allow_origin {origin[:200]})",
            )
            self._metrics.refusals.labels(ORIGIN.name).inc()
            await _refuse(scope["type"], error, send)
            return

        async def send_allowed(message: "dict[str, object]") -> None:
            if origin and message["type"] == "http.response.start":
                pairs = list(message.get("headers", ()))  # type: ignore[call-overload]
                pairs += [(b"access-control-allow-origin", origin.encode("latin-1")),
                          (b"vary", b"origin")]  # fmt: skip
                message = {**message, "headers": pairs}
            await send(message)

        await self._app(scope, receive, send_allowed)  # type: ignore[arg-type]

    def _is_allowed(self, origin: str, host: str) -> bool:
        if origin.rstrip("/").lower() in self._origins:
            return True
        try:
            parts, asked = urlsplit(origin), urlsplit(f"//{host}")
            return parts.netloc.lower() == host.lower() and _is_address(asked.hostname or "")
        except ValueError:
            return False


def check_origin(origin: str) -> None:
    """See to it that an origin is written as browsers write it; another one would never be met.

    Raises:
        ConfigError: it is no ``scheme://host`` or ``scheme://host:port``.
    """
    try:
        parts = urlsplit(origin)
        is_origin = bool(parts.scheme and parts.hostname) and parts.path in ("", "/")
        is_origin = is_origin and (parts.port is None or parts.port > 0)
    except ValueError:
        is_origin = False
    if not is_origin or "?" in origin or "#" in origin or "@" in origin:
        raise ConfigError(
            f"--allow_origin is {shown(origin)}, expected a site as browsers name it, such as "
            "https://example.org or http://192.168.0.7:8080"
        )


def _is_address(name: str) -> bool:
    """Whether a name cannot be moved by who owns it: an address, or this machine."""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(kind: str, error: RefusedError, send: Send) -> None:
    prefix = "websocket.http.response" if kind == "websocket" else "http.response"
    body = json.dumps(error.as_dict()).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"),
               (b"content-length", str(len(body)).encode())]  # fmt: skip
    await send({"type": f"{prefix}.start", "status": error.refusal.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body})
