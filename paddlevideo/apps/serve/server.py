"""`serve`: the service behind uvicorn, from the socket to the last answer."""

import asyncio
import logging
import socket
from asyncio.transports import BaseTransport
from collections.abc import Sequence
from http import HTTPStatus
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from paddlevideo.apps.serve.access import Access
from paddlevideo.apps.serve.app import create_app
from paddlevideo.apps.serve.client_addresses import (
    ClientAddresses,
    is_within,
)
from paddlevideo.apps.serve.descriptors import require_descriptors
from paddlevideo.apps.serve.refusals import FULL, TOO_MANY, RefusedError
from paddlevideo.apps.serve.service import Service
from paddlevideo.apps.serve.unread import UnreadAnswers
from paddlevideo.apps.serve.websocket_protocol import LimitedWebSockets
from paddlevideo.utils.errors import ConfigError

logger = logging.getLogger(__name__)

_BACKLOG = 128  # connections that are accepted in one go; the others' answers wait for that
_LONGEST_HEAD_BYTES = 16 * 1024
_TICKS_A_SECOND = 10  # of uvicorn's server

_REFUSED_SECONDS = 1.0  # that one who is refused has for the head of a request
_MOST_REFUSED = 64  # that wait so at a time; they have open files beyond `max_connections`


def http_protocol(
    service: Service, addresses: ClientAddresses, proxies: Sequence[str]
) -> type[H11Protocol]:
    """uvicorn's HTTP, within the service's limits on connections and on waiting for a request.

    Args:
        addresses: what each has open; those of ``proxies`` have no limit of their own.
    """

    refused: set[asyncio.BaseTransport] = set()

    class LimitedHttp(H11Protocol):
        """One connection; refused where there are too many, ended where no request comes."""

        _head_timer: asyncio.TimerHandle | None = None
        _refusal: RefusedError | None = None

        def connection_made(self, transport: BaseTransport) -> None:
            """Refuse it, or let the time for its request run."""
            super().connection_made(transport)  # type: ignore[arg-type]
            if len(self.connections) > service.limits.max_connections:
                service.metrics.connections_refused.inc()
                self._refuse(RefusedError(FULL, "all connections are taken; try again soon"))
                return
            address = self.client[0] if self.client else ""
            if not is_within(address, proxies) and not addresses.connected(transport, address):
                service.metrics.refusals.labels(TOO_MANY.name).inc()
                self._refuse(addresses.refusal())
                return
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            """Take bytes; the time stops where a request has begun."""
            if self._refusal is not None:
                self._end_refused()
                return
            waits = self.cycle is None or self.cycle.response_complete
            if waits and self._head_timer is None:
                self._expect_head()
            before = self.cycle
            super().data_received(data)
            is_upgraded = self.transport.get_protocol() is not self
            if self.cycle is not before or is_upgraded:
                self._forget_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            """Let the time go with it."""
            self._forget_timer()
            refused.discard(self.transport)
            addresses.disconnected(self.transport)
            super().connection_lost(exc)

        def _refuse(self, error: RefusedError) -> None:
            """Answer when a request comes, or soon.

            Whoever sends to a connection that is closed already may never read the answer.
            """
            self._refusal = error
            self.connections.discard(self)  # it takes nobody's place
            if len(refused) >= _MOST_REFUSED:
                self._end_refused()
                return
            refused.add(self.transport)
            self._head_timer = self.loop.call_later(_REFUSED_SECONDS, self._end_refused)

        def _end_refused(self) -> None:
            self._forget_timer()
            if self._refusal is not None and not self.transport.is_closing():
                self.transport.write(_http_answer(self._refusal))
                self.transport.close()

        def _expect_head(self) -> None:
            seconds = service.limits.idle_seconds
            self._head_timer = self.loop.call_later(seconds, self.transport.abort)

        def _forget_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return LimitedHttp


def websocket_protocol(addresses: ClientAddresses) -> type[LimitedWebSockets]:
    """`LimitedWebSockets`, counted by address until they end."""

    class CountedWebSockets(LimitedWebSockets):
        """One WebSocket; its connection was counted when it was made."""

        def connection_lost(self, exc: Exception | None) -> None:
            """Count it no more."""
            addresses.disconnected(self.transport)
            super().connection_lost(exc)

    return CountedWebSockets


def _http_answer(error: RefusedError) -> bytes:
    """What is written to a connection that never becomes a request."""
    body, headers = error.body_and_headers()
    status = HTTPStatus(error.refusal.status)
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), lines, body)


class Server(uvicorn.Server):
    """uvicorn's server, which lets running answers finish before it closes their sockets.

    SIGTERM and SIGINT end it in order; a second one at once.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._unread = UnreadAnswers(service.limits.idle_seconds)

    async def on_tick(self, counter: int) -> bool:
        """End connections whose answers are not read, once a second."""
        if counter % _TICKS_A_SECOND == 0:
            connections = self.server_state.connections
            self._unread.end_stuck({item.transport for item in connections if item.transport})
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order, and at the second signal at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, wait for running answers, then close."""
        for server in self.servers:
            server.close()
        if not self.force_exit:
            seconds = self._service.limits.shutdown_seconds
            if not await self._service.drain(seconds):
                logger.warning(
                    "%d streams and %d videos did not end within %g s (--shutdown_seconds)",
                    self._service.num_streams, self._service.num_videos, seconds,
                )  # fmt: skip
        await super().shutdown(sockets)


def create_server(service: Service, access: Access | None = None) -> Server:
    """A server for `listen`'s socket: ``await server.serve(sockets=[...])``."""
    access = access or Access()
    addresses = ClientAddresses(service.limits.max_connections_per_address)
    config = uvicorn.Config(
        create_app(service, access),
        http=http_protocol(service, addresses, access.proxies),
        ws=websocket_protocol(addresses),
        proxy_headers=bool(access.proxies),  # uvicorn believes programs of this machine otherwise
        forwarded_allow_ips=list(access.proxies),
        ws_max_size=service.limits.message_bytes,
        ws_per_message_deflate=False,  # frames are packed already
        # A pong waits behind the frames of a client that is faster than it is served; who is
        # silent is ended by the idle limit.
        ws_ping_interval=None,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=_LONGEST_HEAD_BYTES,
        backlog=_BACKLOG,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
    )
    return Server(config, service)


async def serve(service: Service, bound: socket.socket, access: Access | None = None) -> None:
    """Open the model, serve on a socket of `listen` until a signal, and close everything.

    Raises:
        PaddleVideoError: the model cannot be opened, or so many connections are not possible.
    """
    require_descriptors(service.limits.max_connections)
    async with service.running():
        host, port = bound.getsockname()[:2]
        where = f"[{host}]" if ":" in host else host
        what = "videos and streams" if service.has_streams else "videos; the model has no streams"
        logger.info("serving http://%s:%d/ (%s; Ctrl-C ends it)", where, port, what)
        await create_server(service, access).serve(sockets=[bound])
    logger.info("all streams and videos have ended")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: there is no such address here, or it is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except OSError:
            bound.close()
            raise
    except socket.gaierror as error:
        raise ConfigError(
            f"--host {host} is no address of this machine: {error.strerror}"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"--host {host} --port {port} cannot be listened on: {reason}; name another port"
        ) from None
    return bound
