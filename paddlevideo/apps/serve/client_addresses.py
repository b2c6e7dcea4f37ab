"""`ClientAddresses`: how many connections each address has; `AddressLimit` behind a proxy."""

import asyncio
import ipaddress
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from paddlevideo.apps.serve.metrics import Metrics
from paddlevideo.apps.serve.refusals import TOO_MANY, RefusedError

_ONE_SITE = 64  # bits of an IPv6 address: a client has all of the rest


class ClientAddresses:
    """Counts what each client address has open.

    An IPv6 client may take any address of its network, so those of one /64 are one client.

    Args:
        most: that one may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        self._connections: dict[asyncio.BaseTransport, str] = {}

    def enter(self, address: str) -> str | None:
        """Count one more; the name to `leave` by, or None where the address has too many."""
        client = _client_of(address)
        if self._counts[client] >= self._most:
            return None
        self._counts[client] += 1
        return client

    def leave(self, client: str) -> None:
        """Count one less."""
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]

    def connected(self, transport: asyncio.BaseTransport, address: str) -> bool:
        """Count a connection until `disconnected`; False where the address has too many."""
        client = self.enter(address)
        if client is not None:
            self._connections[transport] = client
        return client is not None

    def disconnected(self, transport: asyncio.BaseTransport) -> None:
        """Count a connection no more, if it was counted."""
        client = self._connections.pop(transport, None)
        if client is not None:
            self.leave(client)

    def refusal(self) -> RefusedError:
        """What is said to one that has too many."""
        return RefusedError(
            TOO_MANY,
            f"this address has {self._most} connections already "
            "(--max_connections_per_address; behind a proxy: --forwarded_allow_ips)",
        )


class AddressLimit:
    """Refuses requests and streams of an address that has too many, as trusted proxies state it.

    Who connects directly is counted by connection already, and never has more requests.

    Args:
        app: to guard.
        most: requests and streams of one address at a time.
        metrics: of the service.
    """

    def __init__(self, app: ASGIApp, most: int, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._addresses = ClientAddresses(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with self._counted(scope) as is_allowed:
            if is_allowed:
                await self._app(scope, receive, send)
                return
        error = self._addresses.refusal()
        self._metrics.refusals.labels(TOO_MANY.name).inc()
        if scope["type"] == "websocket":  # a page sees no status, but the code and the reason
            socket = WebSocket(scope, receive, send)
            await socket.accept()
            await socket.send_text(json.dumps(error.as_dict()))
            await socket.close(TOO_MANY.close_code, error.reason)
            return
        body, headers = error.body_and_headers()
        await send({"type": "http.response.start", "status": TOO_MANY.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @contextmanager
    def _counted(self, scope: Scope) -> Iterator[bool]:
        client = self._addresses.enter((scope.get("client") or ("",))[0])
        try:
            yield client is not None
        finally:
            if client is not None:
                self._addresses.leave(client)


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether an address is one of these, or of these networks."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(number in ipaddress.ip_network(network) for network in networks)


def _client_of(address: str) -> str:
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # what a proxy states need be none
        return address[:100]
    if isinstance(number, ipaddress.IPv4Address):
        return str(number)
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(ipaddress.ip_network((number, _ONE_SITE), strict=False))
