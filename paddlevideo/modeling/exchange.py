"""Short texts between the processes of a launch, and a wait for the slowest that has no limit.

Gloo, the library of the collectives on the CPU, gives up after 30 s in which a process waited for
another, and Paddle 3.3 cannot tell it otherwise. Paddle's own store of keys takes 44 ms for a
request (measured: small writes without TCP_NODELAY), as long as a step. So the processes talk over
sockets of their own, in the form of a star round process 0: a process that is slow to read its data
or to write a checkpoint is waited for here, and collectives are entered together. A process that
has ended closes its socket, which the others see at once.
"""

import hmac
import json
import logging
import secrets
import selectors
import socket
import time
from collections.abc import Callable, Sequence

import numpy as np
import paddle
from paddle import distributed

from paddlevideo.utils.errors import DeviceError

logger = logging.getLogger(__name__)

_LENGTH_BYTES = 4
_LONGEST = 1 << 20
_ADDRESS_BYTES = 256
_CONNECT_SECONDS = 300.0
_INTRODUCTION_SECONDS = 10.0  # for which a stranger may keep the others waiting
_WARN_SECONDS = 60.0
# A machine that has lost its power sends nothing: it is asked after 60 s, then six times.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}


class Exchange:
    """Gives every process the texts of all; made in all of them at the same point.

    Args:
        rank, world_size: this process and the number of processes.
        host: of process 0, as the others reach it.
        share: gives every process the text that process 0 calls it with.

    Raises:
        DeviceError: the processes cannot reach one another.
    """

    def __init__(self, rank: int, world_size: int, host: str, share: Callable[[str], str]) -> None:
        self.rank, self.world_size = rank, world_size
        self._peers: dict[int, socket.socket] = {}
        try:
            if rank == 0:
                self._listen(host, share)
            else:
                self._connect(share)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"the processes of the launch cannot reach one another at {host}: {error}; is a "
                "firewall between them?"
            ) from None

    def __call__(self, text: str) -> list[str]:
        """Return the texts of all processes, by their number, when each has given one.

        Raises:
            DeviceError: another process has ended.
        """
        if self.rank == 0:
            texts = self._collect(text)
            answer = json.dumps(texts)
            for peer in self._peers:
                self._send(peer, answer)
            return texts
        self._send(0, text)
        found: list[str] = json.loads(self._receive_from([0])[0])
        return found

    def close(self) -> None:
        """Close the sockets."""
        for peer in self._peers.values():
            peer.close()

    def _listen(self, host: str, share: Callable[[str], str]) -> None:
        token = secrets.token_hex(16)
        with socket.create_server((host, 0), backlog=self.world_size) as server:
            server.settimeout(_CONNECT_SECONDS)
            share(f"{host} {server.getsockname()[1]} {token}")
            while len(self._peers) < self.world_size - 1:
                peer, _ = server.accept()
                number = _introduced(peer, token)
                if number is None:
                    peer.close()
                else:
                    self._peers[number] = _prepared(peer)

    def _connect(self, share: Callable[[str], str]) -> None:
        host, port, token = share("").split(" ")
        peer = socket.create_connection((host, int(port)), _CONNECT_SECONDS)
        _write(peer, f"{token} {self.rank}")
        self._peers[0] = _prepared(peer)

    def _collect(self, own: str) -> list[str]:
        texts = {0: own, **self._receive_from(list(self._peers))}
        return [texts[number] for number in range(self.world_size)]

    def _receive_from(self, numbers: Sequence[int]) -> dict[int, str]:
        """A text of each of these processes; says now and then for whom it waits."""
        texts: dict[int, str] = {}
        start, warn_after = time.monotonic(), _WARN_SECONDS
        with selectors.DefaultSelector() as selector:
            for number in numbers:
                selector.register(self._peers[number], selectors.EVENT_READ, number)
            while len(texts) < len(numbers):
                for key, _ in selector.select(start + warn_after - time.monotonic()):
                    texts[key.data] = self._receive(key.data)
                    selector.unregister(key.fileobj)
                if time.monotonic() >= start + warn_after and len(texts) < len(numbers):
                    late = [str(number) for number in numbers if number not in texts]
                    logger.warning(
                        "process %d has waited %.0f s for process %s",
                        self.rank, warn_after, ", ".join(late),
                    )  # fmt: skip
                    warn_after *= 2
        return texts

    def _receive(self, number: int) -> str:
        try:
            return _read(self._peers[number])
        except (OSError, ValueError):
            raise self._gone(number) from None

    def _send(self, number: int, text: str) -> None:
        try:
            _write(self._peers[number], text)
        except OSError:
            raise self._gone(number) from None

    def _gone(self, number: int) -> DeviceError:
        return DeviceError(
            f"process {number} of {self.world_size} has ended, and this one cannot go on without "
            f"it; what it said is in its own log (workerlog.{number} of the launcher's log_dir)"
        )


def _introduced(peer: socket.socket, token: str) -> int | None:
    """The number of the process that has connected; None: it is none of the launch."""
    peer.settimeout(_INTRODUCTION_SECONDS)
    try:
        given, _, number = _read(peer).partition(" ")
    except (OSError, ValueError):
        return None
    return int(number) if hmac.compare_digest(given.encode(), token.encode()) else None


def _prepared(peer: socket.socket) -> socket.socket:
    peer.settimeout(None)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        option = vars(socket).get(name)  # not every system knows each
        if option is not None:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
    return peer


def _write(peer: socket.socket, text: str) -> None:
    content = text.encode()
    peer.sendall(len(content).to_bytes(_LENGTH_BYTES, "big") + content)


def _read(peer: socket.socket) -> str:
    length = int.from_bytes(_exactly(peer, _LENGTH_BYTES), "big")
    if length > _LONGEST:
        raise ValueError(f"a text of {length} bytes")
    return _exactly(peer, length).decode()


def _exactly(peer: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        part = peer.recv(count - len(content))
        if not part:
            raise ValueError("the other side has closed the connection")
        content += part
    return bytes(content)


def share_by_broadcast(text: str) -> str:
    """Give every process the text of process 0, by a collective."""
    padded = np.frombuffer(text.encode().ljust(_ADDRESS_BYTES), np.uint8).astype(np.int32)
    tensor = paddle.to_tensor(padded)
    distributed.broadcast(tensor, 0)
    return bytes(tensor.numpy().astype(np.uint8)).decode().rstrip()
