"""`Access`: which names and which web pages may be used to reach the service; `AccessCheck`."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from paddlevideo.apps.serve.metrics import Metrics
from paddlevideo.apps.serve.refusals import HOST, ORIGIN, RefusedError
from paddlevideo.utils.errors import ConfigError, shown

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


@dataclass(frozen=True)
class Access:
    """Who may reach the service, beside programs that ask for this machine by an address.

    Attributes:
        origins: web pages that may use it, such as ``https://example.org``. They are told so
            (CORS).
        hosts: names under which it may be asked.
        proxies: addresses and networks whose ``X-Forwarded-For`` is believed.

    Raises:
        ConfigError: one of them is not written as it would be met.
    """

    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for origin in self.origins:
            _check_origin(origin)
        for host in self.hosts:
            if not _HOST_NAME.fullmatch(host):
                raise ConfigError(
                    f"--allow_host is {shown(host)}, expected a name without scheme and port, "
                    "such as video.example.org"
                )
        for proxy in self.proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ConfigError(
                    f"--forwarded_allow_ips is {shown(proxy)}, expected an address or a network, "
                    "such as 127.0.0.1 or 10.0.0.0/8"
                ) from None

    def is_host(self, host: str) -> bool:
        """Whether a request's ``Host`` is an address, this machine's name, or an allowed one.

        No page can move an address; browsers always state one of them.
        """
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return not host or _is_address(name) or name in {_plain(item) for item in self.hosts}

    def is_origin(self, origin: str, host: str) -> bool:
        """Whether a page is the service's own, asked for as `is_host` has it, or an allowed one."""
        if _plain(origin.rstrip("/")) in {_plain(item.rstrip("/")) for item in self.origins}:
            return True
        try:
            return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
        except ValueError:
            return False


class AccessCheck:
    """Refuses requests by their ``Host`` and their ``Origin``, of HTTP and WebSocket alike.

    A page that has moved its name to this machine's address (DNS rebinding) may read what the
    service answers, as far as the browser knows; but the browser states that name as the host. It
    lets any page open a WebSocket to this machine too, and says where the page is from. Programs
    state no origin.

    Args:
        app: to guard.
        access: what is allowed.
        metrics: of the service.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app, self._access, self._metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin", "")
        error = self._refusal(headers.get(b"host", ""), origin)
        if error is not None:
            self._metrics.refusals.labels(error.refusal.name).inc()
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

    def _refusal(self, host: str, origin: str) -> RefusedError | None:
        if not self._access.is_host(host):
            return RefusedError(
                HOST,
                f"this service is not known as {host[:200]}: ask for it by its address or as "
                "localhost, or start it with --allow_host NAME",
            )
        if origin and not self._access.is_origin(origin, host):
            return RefusedError(
                ORIGIN,
                f"pages of {origin[:200]} may not use this service (--allow_origin {origin[:200]})",
            )
        return None


def _check_origin(origin: str) -> None:
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


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


async def _refuse(kind: str, error: RefusedError, send: Send) -> None:
    prefix = "websocket.http.response" if kind == "websocket" else "http.response"
    body, headers = error.body_and_headers()
    await send({"type": f"{prefix}.start", "status": error.refusal.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body})
