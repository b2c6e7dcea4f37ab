"""Clients that keep to no rule of the protocols: each is told so, and nothing of it stays."""

import contextlib
import logging
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from apps.serve.conftest import pictures, png, serving
from apps.serve.test_refusals import raw_socket, until
from paddlevideo.apps.serve import descriptors
from paddlevideo.apps.serve.access import Access
from paddlevideo.apps.serve.descriptors import require_descriptors
from paddlevideo.apps.serve.unread import UnreadAnswers
from paddlevideo.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
UPGRADE = (
    b"GET %s HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n"
)
STREAM = b"/stream?width=8&height=8"
FIN, RSV1, MASKED = 0x80, 0x40, 0x80
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@pytest.fixture(scope="module")
def server(stream_bundle):
    with serving(stream_bundle, idle_seconds=2, max_upload_mb=1) as served:
        yield served


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog):
    """What a client does is no event for the log: it would fill the disk."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def frame(first_byte, payload=b"", length=None, mask=MASKED):
    """A frame of RFC 6455, section 5.2, masked with zeros."""
    size = len(payload) if length is None else length
    if size < 126:
        head = struct.pack("!BB", first_byte, mask | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first_byte, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first_byte, mask | 127, size)
    return head + (bytes(4) if mask else b"") + payload


def all_of(socket):
    """All that comes until the end."""
    said = b""
    try:
        while part := socket.recv(1 << 16):
            said += part
    except ConnectionError:  # cut by the server while we sent
        pass
    return said


def head_of(socket):
    said = b""
    while b"\r\n\r\n" not in said:
        said += socket.recv(1)
    return said


def opened(server):
    socket = raw_socket(server.port)
    socket.sendall(UPGRADE % (STREAM, b""))
    assert head_of(socket).startswith(b"HTTP/1.1 101")
    return socket


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (frame(FIN | 3, b"x"), 1002, b"invalid opcode"),
        (frame(FIN | RSV1 | BINARY, b"x" * 50), 1002, b"reserved bits"),  # packed
        (frame(FIN | BINARY, b"x", mask=0), 1002, b"masking"),
        (frame(FIN | PING, b"x" * 200), 1002, b"too long"),
        (frame(PING, b"x"), 1002, b"fragmented"),
        (frame(FIN | CONT, b"x"), 1002, b"continuation"),
        (frame(FIN | CLOSE, struct.pack("!H", 77)), 1002, b"status code"),
        (frame(FIN | BINARY, length=1 << 62), 1009, b"exceeds limit"),
        (frame(FIN | BINARY, length=1 << 63), 1009, b"exceeds limit"),
        (frame(BINARY, bytes(5_000_000)) + frame(FIN | CONT, length=5_000_000), 1009, b"limit"),
        (frame(FIN | TEXT, b"\xff\xfe"), 1007, b"not UTF-8"),
        (frame(FIN | TEXT, b"\xe2\x82"), 1007, b"not UTF-8"),
        (frame(BINARY) + frame(CONT) * 1100, 1008, b"without a message"),
        (frame(FIN | PONG) * 1100, 1008, b"without a message"),
        (frame(FIN | TEXT, b"reset") * 120, 1007, b"without a frame"),
    ],
)
def test_frames_against_the_protocol_are_refused(server, sent, code, reason):
    closing = re.compile(rb"\x88." + re.escape(struct.pack("!H", code)) + rb".*", re.S)
    said = b""
    with opened(server) as socket, contextlib.suppress(ConnectionResetError):
        socket.sendall(sent)
        # Not to its end: the server waits some seconds for our closing frame.
        while not closing.search(said) and (part := socket.recv(1 << 16)):
            said += part
    found = closing.search(said)
    assert found and reason in found[0], said
    until(lambda: server.service.num_streams == 0)


def test_a_flood_of_pings_is_no_memory(server):
    """Its answers are never read."""
    with opened(server) as socket, pytest.raises(ConnectionError):
        for _ in range(10_000):  # 13 MB
            socket.sendall(frame(FIN | PING, b"x" * 125) * 10)
    until(lambda: server.service.num_streams == 0)


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        (STREAM, b"x: " + b"a" * 9000 + b"\r\n", 400, b"8 kB"),
        (STREAM + b"a" * 9000, b"", 400, b"8 kB"),
        (STREAM, b"".join(b"x%d: y\r\n" % n for n in range(200)), 400, b"128 headers"),
        (b"/other", b"", 404, b"WebSocket /stream"),
        (b"/../../etc/passwd", b"", 404, b"WebSocket /stream"),
        (STREAM, b"origin: http://evil.example\r\n", 403, b"--allow_origin"),
        (STREAM, b"origin: null\r\n", 403, b"--allow_origin"),
    ],
)
def test_handshakes_are_refused(server, path, headers, status, words):
    with raw_socket(server.port) as socket:
        socket.sendall(UPGRADE % (path, headers))
        said = all_of(socket)
    assert said.startswith(b"HTTP/1.1 %d" % status) and words in said, said


def test_messages_are_not_packed(server):
    """A packed message of some kB may be gigabytes; frames are packed already."""
    with raw_socket(server.port) as socket:
        socket.sendall(UPGRADE % (STREAM, b"sec-websocket-extensions: permessage-deflate\r\n"))
        said = head_of(socket)
    assert said.startswith(b"HTTP/1.1 101") and b"extensions" not in said.lower()


POST = b"POST /predict HTTP/1.1\r\nhost: localhost\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (bytes(range(128, 256)) + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000, 400),
        (POST + b"content-length: -5\r\n\r\n", 400),
        (POST + b"content-length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (POST + b"content-length: 9999999999\r\n\r\n", 413),
        (POST + b"content-length: 3\r\n\r\nabcdefgh", 422),
        (b"GET /../../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
        (b"GET /predict HTTP/1.1\r\nhost: localhost\r\n\r\n", 405),
        (
            b"POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n"
            + bytes(9000),
            404,
        ),
    ],
)
def test_requests_against_the_protocol_are_refused_and_closed(server, sent, status):
    with raw_socket(server.port) as socket:
        socket.sendall(sent)
        said = all_of(socket)
    assert said.startswith(b"HTTP/1.1 %d" % status), said[:200]


def test_refusals_have_one_form(server):
    wrong = [server.get("/nothing"), server.get("/predict"), server.predict(b"x", "?top_k=none")]
    assert [answer.status_code for answer in wrong] == [404, 405, 400]
    assert [answer.json()["error"] for answer in wrong] == ["not_found", "not_allowed", "malformed"]
    assert "POST" in wrong[1].json()["message"] and "top_k" in wrong[2].json()["message"]
    with pytest.raises(InvalidStatus) as refused, server.open("/more"):
        pass
    assert b"not_found" in refused.value.response.body


def test_a_client_that_does_not_read_its_pages_is_ended(server):
    with raw_socket(server.port) as socket:
        socket.settimeout(0.5)
        with pytest.raises(OSError):
            while True:
                socket.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n" * 100)
        connections = server._server.server_state.connections
        assert len(connections) >= 1
        until(lambda: not connections)


def test_slow_readers_are_told_from_those_that_do_not_read():
    class Transport:
        size, is_ended = 0, False

        def get_write_buffer_size(self):
            return self.size

        def abort(self):
            self.is_ended = True

    now = [0.0]
    unread = UnreadAnswers(3.0, lambda: now[0])
    slow, stuck, idle, growing = (Transport() for _ in range(4))
    slow.size, stuck.size, growing.size = 100, 100, 100
    for _ in range(7):
        unread.end_stuck([slow, stuck, idle, growing])
        now[0] += 1
        slow.size, growing.size = slow.size - 1, growing.size + 1
    assert [item.is_ended for item in (slow, stuck, idle, growing)] == [False, True, False, True]


def test_open_files_are_looked_at_before_the_model_is_opened(monkeypatch):
    resource = pytest.importorskip("resource")
    changed = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: changed.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    require_descriptors(256)
    assert changed == []
    require_descriptors(2000)
    assert changed == [(2000 + descriptors._OTHERS, 4096)]
    with pytest.raises(ConfigError, match="--max_connections 3840"):
        require_descriptors(60_000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    require_descriptors(60_000)
    assert len(changed) == 1


@pytest.mark.parametrize(
    ("origin", "is_right"),
    [
        ("https://example.org", True), ("http://192.168.0.7:8080/", True), ("example.org", False),
        ("https://example.org/page", False), ("https://a.org:x", False), ("*", False),
        ("", False), ("null", False), ("https://example.org?x", False), ("https://me@a.org", False),
    ],
)  # fmt: skip
def test_origins_that_would_never_be_met_are_refused(origin, is_right):
    if is_right:
        Access(origins=(origin,))
        return
    with pytest.raises(ConfigError, match="--allow_origin"):
        Access(origins=(origin,))


def test_a_client_that_waits_for_a_slow_answer_is_not_idle(stream_bundle, monkeypatch):
    with serving(stream_bundle, idle_seconds=0.5) as slow:
        show = slow.service.stepper.show

        def late(*arguments):
            time.sleep(1.2)
            return show(*arguments)

        monkeypatch.setattr(slow.service.stepper, "show", late)
        picture = png(pictures(1)[0])
        with slow.open() as socket:
            for _ in range(2):
                socket.send(picture)
                assert "label" in socket.recv(timeout=30)
            assert "nothing came for 0.5 s" in socket.recv(timeout=30)


def test_a_lost_cancellation_leaves_no_task(server):
    """Many are cut while their next message comes, which is when `wait_for` loses it."""
    picture = png(pictures(1)[0])
    for _ in range(20):
        with raw_socket(server.port) as socket:
            socket.sendall(UPGRADE % (b"/stream", b""))
            head_of(socket)
            socket.sendall(frame(FIN | BINARY, b"no picture") + frame(FIN | BINARY, picture) * 9)
    until(lambda: server.service.num_streams == 0)
    until(lambda: not server._server.server_state.tasks)


@pytest.mark.parametrize("connects", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_good_client_beside_many_hostile_ones(stream_bundle, connects):
    """Bit for bit what a session answers; no memory, files or lines in the log are left."""
    command = [sys.executable, "benchmarks/hostile_clients.py", "--connects", str(connects),
               "--bundle", str(stream_bundle.folder), "--engine", "onnxruntime"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
