"""Every limit and every refusal: a code and a message, and nobody else's answers changed."""

import contextlib
import os
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from child_processes import killed_at_the_end
from test_imports import COMMAND, WITHOUT_PADDLE
from video.conftest import write_video
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.serve.conftest import pictures, png, read_rest, serving
from paddlevideo.apps.serve.access import Access
from paddlevideo.apps.serve.connection import StreamConnection
from paddlevideo.apps.serve.limits import ServeLimits
from paddlevideo.apps.serve.shown_frames import ShownFrames
from paddlevideo.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
GOOD = png(pictures(1)[0])


@pytest.fixture(scope="module")
def strict(stream_bundle):
    """A server of small limits."""
    limits = {
        "max_upload_mb": 0.2, "max_video_seconds": 1.5, "max_video_frames": 20,
        "max_frame_pixels": 10_000, "max_videos": 1, "max_streams": 2, "max_connections": 8,
        "max_message_mb": 0.05, "queue_frames": 1, "request_seconds": 6, "idle_seconds": 1.5,
    }  # fmt: skip
    with serving(stream_bundle, Access(("https://friend.example",)), **limits) as server:
        yield server


@pytest.mark.parametrize(
    ("messages", "query", "code", "words"),
    [
        ([b"no picture"], "", 1007, "neither a JPEG nor a PNG"),
        ([GOOD[:200]], "", 1007, "not a readable image"),
        (["hello"], "", 1007, 'the text "hello" is none of'),
        (["time soon", GOOD], "", 1007, '"soon" is no number'),
        (["time inf", GOOD], "", 1007, '"inf" is no number'),
        ([GOOD, "time 1", GOOD], "", 1007, "frame 1 has a time"),
        (["time 1", GOOD], "?frame_rate=5", 1007, "leave out one"),
        ([GOOD], "?recording=1", 1007, "recording need times"),
        ([bytes(5)], "?width=4&height=4", 1007, "has 5 bytes"),
        ([], "?width=4", 1007, "both width and height"),
        ([], "?width=0&height=4", 1007, "width is '0'"),
        ([], "?frame_rate=0", 1007, "frame_rate is 0"),
        ([], "?top_k=99", 1007, "from 1 to 5"),
        ([], "?widht=4", 1007, 'did you mean "width"?'),
        ([], "?recording=maybe", 1007, "expected true or false"),
        ([png(np.zeros((200, 200, 3), np.uint8))], "", 1009, "--max_frame_pixels"),
        ([], "?width=150&height=150", 1009, "--max_frame_pixels"),
        ([], "?width=400&height=2", 1009, "frame_aspect"),
        ([bytes(60_000)], "", 1009, ""),  # by the protocol itself
        ([], "", 1008, "nothing came for 1.5 s"),
    ],
)
def test_a_stream_is_refused_with_a_code_and_a_reason(strict, messages, query, code, words):
    answers = strict.stream(messages, query)
    assert answers.code == code and words[:100] in answers.reason + str(answers.lines[-1:])


def test_a_video_is_refused_with_a_status_and_a_message(strict, tmp_path):
    def refused(content, status, words, query="", **options):
        answer = strict.predict(content, query, **options)
        assert (answer.status_code, words in answer.json()["message"]) == (status, True), (
            answer.text
        )
        assert str(tmp_path) not in answer.text and "serve-" not in answer.text

    refused(b"", 400, "the body is empty")
    refused(b"no video", 422, "not a readable video")
    refused(bytes(300_000), 413, "--max_upload_mb")
    refused((bytes(1000) for _ in range(300)), 413, "--max_upload_mb")  # of unknown length
    refused(b"x", 415, "--data-binary", headers={"content-type": "multipart/form-data; b=1"})
    long = write_video(tmp_path / "long.mp4", 40, height=16, width=16)
    refused(long.read_bytes(), 413, "--max_video_seconds")
    many = write_video(tmp_path / "many.mp4", 30, height=16, width=16)
    refused(many.read_bytes(), 422, "video_frames")
    large = write_video(tmp_path / "large.mp4", 3, height=112, width=112)
    refused(large.read_bytes(), 422, "frame_pixels")
    refused(GOOD, 400, "top_k: ", "?top_k=0")
    assert not list(strict.service._folder.iterdir())


def test_other_sites_are_refused(strict):
    own = f"http://127.0.0.1:{strict.port}"
    for origin, status in ((own, 200), ("https://friend.example", 200), ("http://evil", 403)):
        answer = strict.get("/health", headers={"origin": origin})
        assert answer.status_code == status
        assert (answer.headers.get("access-control-allow-origin") == origin) == (status == 200)
    rebound = {"origin": "http://evil:80", "host": "evil:80"}
    assert strict.get("/health", headers=rebound).status_code == 403
    with pytest.raises(InvalidStatus, match="403"), strict.open(origin="http://evil"):
        pass
    with strict.open(origin=own) as socket:
        socket.send("end")


def test_places_are_given_back(strict):
    """Streams beyond the limit are refused; those that end, or are cut, leave their place."""
    with strict.open() as one, strict.open() as two:
        for socket in (one, two):
            socket.send(GOOD)
            socket.recv(timeout=30)
        answers = strict.stream([])
        assert answers.code == 1013 and "--max_streams" in answers.reason
        one.socket.shutdown(sockets.SHUT_RDWR)
        until(lambda: strict.service.num_streams < 2)
        assert strict.stream([GOOD, "end"]).code == 1000
    until(lambda: strict.service.num_streams == 0)


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def raw_socket(port):
    return sockets.create_connection(("127.0.0.1", port), timeout=20)


HEAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"


def test_slow_requests_end(strict):
    with raw_socket(strict.port) as head:  # never finishes its head
        head.sendall(b"GET / HT")
        assert head.recv(100) == b""
    with raw_socket(strict.port) as body:  # never finishes its body, and holds the only place
        body.sendall(HEAD + b"x")
        until(lambda: strict.service.num_videos == 1)
        answer = strict.predict(b"x")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "--max_videos" in answer.text
        assert body.recv(1000).startswith(b"HTTP/1.1 408")
    with raw_socket(strict.port) as cut:
        cut.sendall(HEAD + b"x")
        until(lambda: strict.service.num_videos == 1)
    until(lambda: strict.service.num_videos == 0)
    assert not list(strict.service._folder.iterdir())


def test_a_connection_too_many_is_told_so_and_closed(strict):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(raw_socket(strict.port)) for _ in range(30)]
        told = []
        for socket in held:
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                socket.settimeout(0.5)
                told.append(socket.recv(1000))
        assert sum(text.startswith(b"HTTP/1.1 503") for text in told) >= 22
    until(strict.get_ok)


@pytest.mark.slow  # three processes open the bundle, one after the other
def test_a_video_that_takes_too_long_costs_its_process_alone(stream_bundle, tmp_path):
    video = write_video(tmp_path / "video.mp4", 12).read_bytes()
    with serving(stream_bundle, request_seconds=5) as server:
        (worker,) = server.service.videos._workers
        os.kill(worker.process.pid, signal.SIGSTOP)
        answer = server.predict(video)
        assert answer.status_code == 504 and "too long" in answer.text
        until(lambda: server.predict(video).status_code == 200, 100)  # by another process
        (worker,) = server.service.videos._workers
        os.kill(worker.process.pid, signal.SIGKILL)
        assert server.predict(video).status_code == 422  # it may have died of it
        until(lambda: server.predict(video).status_code == 200, 100)


def test_a_client_that_sends_faster_than_it_is_served_waits(served, monkeypatch):
    """Nothing is dropped: every frame is answered, and little of it is ever in memory."""
    frames = [picture.tobytes() for picture in pictures(4, height=400, width=500)]
    pushed = served.service.stepper.show
    most = []

    def slow(*arguments):
        time.sleep(0.05)
        most.append(len(sent) - len(most))
        return pushed(*arguments)

    monkeypatch.setattr(served.service.stepper, "show", slow)
    sent = []
    with served.open("?width=500&height=400") as socket:

        def send():
            for number in range(60):
                socket.send(frames[number % 4])
                sent.append(number)
            socket.send("end")

        sender = threading.Thread(target=send)
        sender.start()
        answers = read_rest(socket)
        sender.join()
    assert answers.lines[-1]["steps"] == 60 and answers.code == 1000
    assert max(most) < 25  # 600 kB each: the rest waits in its sender


def test_a_client_that_does_not_read_is_ended(stream_bundle, monkeypatch):
    monkeypatch.setattr(StreamConnection, "_line", lambda *_: {"long": "x" * 200_000})
    with serving(stream_bundle, idle_seconds=1.5, top_k=5) as server:
        with raw_socket(server.port) as socket:
            socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            socket.sendall(
                b"GET /stream?width=1&height=1 HTTP/1.1\r\nhost: localhost\r\n"
                b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
                b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            frame = b"\x82\x83\0\0\0\0abc"
            with contextlib.suppress(OSError):
                for _ in range(200):
                    socket.sendall(frame)
            until(lambda: server.service.num_streams == 0)
        assert server.get("/health").status_code == 200


def test_hostile_clients_change_nobodys_answers(served):
    """Bit for bit: beside cut, malformed, huge and silent clients, and many connects."""
    frames = list(map(png, pictures(12, seed=5)))
    alone = served.stream([*frames, "end"]).scores
    stop = threading.Event()

    def misbehave(kind):
        while not stop.is_set():
            # Also refused: on a slow machine those that are cut hold all connections for a while.
            with contextlib.suppress(
                OSError, ConnectionClosed, InvalidStatus, httpx.HTTPError, EOFError
            ):
                if kind == 0:
                    served.stream([b"\xff\xd8\xff" + bytes(1000)])
                elif kind == 1:
                    with served.open() as socket:
                        socket.send(GOOD)
                        socket.socket.shutdown(sockets.SHUT_RDWR)
                elif kind == 2:
                    served.predict(os.urandom(1000))
                elif kind == 3:
                    for _ in range(50):
                        raw_socket(served.port).close()
                else:
                    with raw_socket(served.port) as socket:
                        socket.sendall(os.urandom(2000))

    with ThreadPoolExecutor(6) as threads:
        others = [threads.submit(misbehave, kind) for kind in range(5)]
        try:
            answers = served.stream([*frames, *["reset", *frames] * 4, "end"])
        finally:
            stop.set()
        for other in others:
            other.result()
    assert answers.code == 1000 and answers.scores == alone * 5
    until(served.get_ok)


def test_limits_have_ranges():
    for wrong in ({"max_streams": 0}, {"max_videos": 2.5}, {"idle_seconds": float("nan")}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ServeLimits(**wrong)
    with pytest.raises(ConfigError, match="--max_connections"):
        ServeLimits(max_streams=100, max_connections=50)


def test_a_recording_that_jumps_is_filled_within_limits():
    shown = ShownFrames(5.0, True, None)
    assert len(shown.offer(lambda: None, 1e9)) == 1
    assert len(shown.offer(lambda: None, 1e9 + 5000)) < 3100
    assert shown.offer(lambda: None, 1e12 - 1) is not None


def test_the_command(stream_bundle, tmp_path):
    """It listens, answers, and ends in order at SIGTERM; Paddle cannot be imported there."""
    program = WITHOUT_PADDLE + COMMAND
    command = [sys.executable, "-c", program, "serve", str(stream_bundle.folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    options = {"env": environment, "stderr": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen([*command, "--port", "0"], **options) as server,
        killed_at_the_end(server),
    ):
        check_served(server, command, environment)
    assert not list(tmp_path.iterdir())


def check_served(server, command, environment):
    # What the log says of the engine may come first.
    line = next(line for line in server.stderr if "serving http://127.0.0.1:" in line)
    port = int(line.split("127.0.0.1:")[1].split("/")[0])
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    with sockets.create_server(("127.0.0.1", 0)) as taken:
        other = [*command, "--port", str(taken.getsockname()[1])]
        done = subprocess.run(other, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "name another port" in done.stderr
    assert "Traceback" not in done.stderr
    server.terminate()
    rest = server.stderr.read()
    assert server.wait(30) == 0 and "have ended" in rest and "Traceback" not in rest
