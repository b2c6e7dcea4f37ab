"""`LimitedWebSockets`: uvicorn's WebSocket for clients that do not keep to the rules."""

import json
from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from paddlevideo.apps.serve.refusals import MALFORMED, RefusedError

if TYPE_CHECKING:  # uvicorn's own name, which may move
    from uvicorn._types import ASGISendEvent

_CLOSING_SECONDS = 5.0  # that a client has to answer the closing of its socket
_SLICE_BYTES = 32 * 1024  # what is parsed before the flood in it is seen
_MOST_PARTS = 1000  # pings, and parts of a message, between two messages
_MOST_UNREAD_BYTES = 1_000_000  # answers wait for their reader long before; pongs do not
_NO_HANDSHAKE = RefusedError(
    MALFORMED, "the request of a WebSocket has a line above 8 kB, or more than 128 headers"
)


class LimitedWebSockets(WebSocketsSansIOProtocol):
    """One WebSocket, which ends when the service is done with it, or its client cheats.

    Added to uvicorn's: a request that the WebSocket library refuses is answered and closed, and
    not kept for ever; a client that never reads does not keep its closed socket; floods of pings
    and of parts of messages, which no limit on messages sees, end their connection; text that is
    no UTF-8 is refused without an entry in the log.
    """

    _num_parts = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes, a slice at a time."""
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])
            if not self.handshake_initiated:
                self._refuse_handshake()
            elif self._num_parts > _MOST_PARTS:
                self._fail(1008, f"more than {_MOST_PARTS} pings or parts without a message")
            elif self.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
                self.transport.abort()  # it reads nothing, so it is not told either

    def handle_ping(self) -> None:
        """Answer it, and count it."""
        self._num_parts += 1
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Count one that was not asked for."""
        self._num_parts += 1
        super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Take one more part of a message, and count it."""
        self._num_parts += 1
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand on a whole message."""
        self._num_parts = 0
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self._fail(1007, "a text message is not UTF-8")
                return
        super().send_receive_event_to_app()

    async def send(self, message: "ASGISendEvent") -> None:
        """Send what the application says."""
        await super().send(message)
        if self.close_sent:  # uvicorn takes a refused handshake for one that was forgotten
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        """Run the application; then give the client a while to close."""
        await super().run_asgi()
        self.loop.call_later(_CLOSING_SECONDS, self.transport.abort)

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        if self.conn.close_sent is None:
            self.transport.abort()
        else:
            self.handle_parser_exception()

    def _refuse_handshake(self) -> None:
        body = json.dumps(_NO_HANDSHAKE.as_dict()).encode()
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()
