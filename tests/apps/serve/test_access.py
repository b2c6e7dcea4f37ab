"""Who may reach the service: names it is asked by, addresses of clients, proxies."""

import asyncio
import contextlib
import socket as sockets
import time

import pytest
from websockets.exceptions import InvalidStatus

from apps.serve.conftest import pictures, png, read_rest, serving
from paddlevideo.apps.serve.access import Access
from paddlevideo.apps.serve.client_addresses import ClientAddresses, is_within
from paddlevideo.cli.serve import _own_name
from paddlevideo.utils.errors import ConfigError

PICTURE = png(pictures(1)[0])
MOST = 3


@pytest.fixture(scope="module")
def few(stream_bundle):
    """No address has more than three connections; one name is allowed."""
    access = Access(hosts=("video.example.org",))
    with serving(stream_bundle, access, max_connections_per_address=MOST) as server:
        yield server


@pytest.fixture(scope="module")
def behind_proxy(stream_bundle):
    access = Access(proxies=("127.0.0.0/8",))
    with serving(stream_bundle, access, max_connections_per_address=1) as server:
        yield server


def refusals(server, reason):
    label = f'paddlevideo_refusals_total{{reason="{reason}"}}'
    lines = server.service.metrics.text().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(label))


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost", True), ("LocalHost:8000", True), ("127.0.0.1", True), ("127.8.9.1:80", True),
        ("192.168.0.7:8000", True), ("[::1]:8000", True), ("video.example.org", True),
        ("Video.Example.org.:443", True), ("", True), ("evil.example", False),
        ("evil.example:8000", False), ("localhost.evil.example", False), ("example.org", False),
        ("127.0.0.1.evil.example", False), ("localhost@evil.example", False), ("[", False),
    ],
)  # fmt: skip
def test_names_that_can_be_moved_here_are_not_known(host, is_known):
    assert Access(hosts=("VIDEO.example.org",)).is_host(host) == is_known


@pytest.mark.parametrize(("host", "status"), [("video.example.org:1", 200), ("evil.example", 403)])
def test_a_request_by_an_unknown_name_is_refused(few, host, status):
    before = refusals(few, "host")
    answer = few.get("/health", headers={"host": host})
    assert answer.status_code == status
    assert status == 200 or "--allow_host" in answer.json()["message"]
    assert refusals(few, "host") - before == (status != 200)


def test_a_page_that_moved_its_name_here_reads_nothing(few):
    for path in ("/", "/metrics", "/nothing", "/openapi.json"):  # a GET states no origin
        answer = few.get(path, headers={"host": f"evil.example:{few.port}"})
        assert answer.status_code == 403 and answer.json()["error"] == "host"
    headers = {"host": "evil.example", "origin": "http://evil.example"}
    assert few.predict(b"video", headers=headers).status_code == 403
    with sockets.create_connection(("127.0.0.1", few.port)) as connection:
        connection.sendall(
            b"GET /stream HTTP/1.1\r\nhost: evil.example\r\nupgrade: websocket\r\n"
            b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 403")


def test_pages_of_an_allowed_name_are_the_services_own(few):
    own = {"host": "video.example.org", "origin": "https://video.example.org"}
    assert few.get("/health", headers=own).status_code == 200
    other = {**own, "origin": "https://evil.example"}
    assert few.get("/health", headers=other).json()["error"] == "origin"


def test_one_address_has_so_many_connections(few):
    until(lambda: not few._server.server_state.connections)  # those of the tests before
    with contextlib.ExitStack() as open_ones:
        streams = [open_ones.enter_context(few.open()) for _ in range(MOST - 1)]
        silent = open_ones.enter_context(sockets.create_connection(("127.0.0.1", few.port)))
        until(lambda: len(few._server.server_state.connections) == MOST)
        before = refusals(few, "too_many")
        answer = few.get("/health")
        assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
        assert answer.json()["error"] == "too_many"
        assert "--max_connections_per_address" in answer.json()["message"]
        with pytest.raises(InvalidStatus, match="429"), few.open():
            pass
        assert refusals(few, "too_many") == before + 2
        streams[0].send(PICTURE)  # the others are served
        assert "label" in streams[0].recv(timeout=30)
        silent.close()
        until(few.get_ok)
        streams[0].socket.shutdown(sockets.SHUT_RDWR)
        until(lambda: few.service.num_streams == MOST - 2 and few.get_ok())
    until(few.get_ok)


@pytest.mark.parametrize("request_bytes", [b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", b""])
def test_who_is_refused_can_read_why(few, request_bytes):
    """Also one who asks a while after connecting, or never asks: it is not closed on before."""
    until(lambda: not few._server.server_state.connections)
    with contextlib.ExitStack() as open_ones:
        for _ in range(MOST):
            open_ones.enter_context(sockets.create_connection(("127.0.0.1", few.port)))
        until(lambda: len(few._server.server_state.connections) == MOST)
        late = open_ones.enter_context(sockets.create_connection(("127.0.0.1", few.port)))
        late.settimeout(20)
        time.sleep(0.2)
        late.sendall(request_bytes)
        answer = b"".join(iter(lambda: late.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert b"--max_connections_per_address" in answer
        assert len(few._server.server_state.connections) == MOST  # it takes nobody's place
    until(few.get_ok)


def forwarded(address):
    return {"x-forwarded-for": address}


def test_clients_behind_a_trusted_proxy_are_told_apart(behind_proxy):
    first = {"additional_headers": forwarded("203.0.113.1")}
    with behind_proxy.open(**first) as one:
        one.send(PICTURE)
        assert "label" in one.recv(timeout=30)
        # A client may state what it likes; the proxy appends what it sees.
        lying = {"additional_headers": forwarded("198.51.100.9, 203.0.113.1")}
        for options in (first, lying):
            with behind_proxy.open(**options) as two:
                answers = read_rest(two)
            assert answers.code == 1013 and "has 1 connections already" in answers.reason
            assert answers.lines[0]["error"] == "too_many"
        answer = behind_proxy.get("/health", headers=forwarded("203.0.113.1"))
        assert answer.status_code == 429 and answer.json()["error"] == "too_many"
        assert behind_proxy.get("/health", headers=forwarded("203.0.113.2")).status_code == 200
    until(lambda: behind_proxy.get("/health", headers=forwarded("203.0.113.1")).is_success)


def test_nobody_is_taken_for_a_proxy_by_default(few):
    """Other addresses that are stated do not help."""
    until(lambda: not few._server.server_state.connections)
    with contextlib.ExitStack() as open_ones:
        for number in range(MOST):
            options = {"additional_headers": forwarded(f"203.0.113.{number}")}
            open_ones.enter_context(few.open(**options))
        assert few.get("/health", headers=forwarded("203.0.113.77")).status_code == 429
    until(few.get_ok)


def test_addresses_are_counted_by_client():
    addresses = ClientAddresses(2)
    one = asyncio.Transport()
    assert addresses.connected(one, "2001:db8::1")
    assert addresses.enter("2001:db8:0:0:ffff::9") is not None  # the same /64
    assert addresses.enter("2001:db8::7") is None
    assert addresses.enter("2001:db8:0:1::1") is not None
    addresses.disconnected(one)
    addresses.disconnected(one)  # of one that is not counted: nothing
    assert addresses.enter("2001:db8::7") is not None
    mapped, plain = addresses.enter("::ffff:192.0.2.1"), addresses.enter("192.0.2.1")
    assert mapped == plain and addresses.enter("192.0.2.1") is None
    for client in (mapped, plain):
        addresses.leave(client)
    assert "192.0.2.1" not in addresses._counts  # who is gone takes no memory
    assert addresses.enter("fe80::1%eth0") and addresses.enter("no address")


def test_networks():
    assert is_within("10.1.2.3", ("192.0.2.1", "10.0.0.0/8"))
    assert not is_within("11.1.2.3", ("10.0.0.0/8",)) and not is_within("", ("10.0.0.0/8",))
    assert not is_within("::1", ("127.0.0.1",))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hosts": ("https://example.org",)}, "--allow_host"),
        ({"hosts": ("example.org:80",)}, "--allow_host"), ({"hosts": ("*",)}, "--allow_host"),
        ({"hosts": ("",)}, "--allow_host"), ({"proxies": ("*",)}, "--forwarded_allow_ips"),
        ({"proxies": ("10.0.0.1/8",)}, "--forwarded_allow_ips"),
        ({"proxies": ("proxy",)}, "--forwarded_allow_ips"),
    ],
)  # fmt: skip
def test_what_would_never_be_met_is_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        Access(**wrong)


def test_the_name_that_is_listened_at_is_known():
    assert _own_name("box.lan") == ("box.lan",) and _own_name("localhost") == ("localhost",)
    for address in ("127.0.0.1", "::1", "0.0.0.0", ""):
        assert _own_name(address) == ()
