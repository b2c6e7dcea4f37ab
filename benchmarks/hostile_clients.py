"""`paddlevideo serve` under clients that keep to no rule, beside one that does.

python benchmarks/hostile_clients.py [--connects 10000] [--seconds 1800]
    [--model movinet_t0_stream] [--bundle DIR] [--engine auto]

The server is a process of its own, on the loopback address. So many connections are made to it, a
few dozen at a time, each of them in one of a dozen wrong ways: cut, silent, malformed, floods,
headers and frames that are too large. Meanwhile one client sends frames, and every answer it gets
has to be, bit for bit, what a session in this process gives. Reported: what the wrong ones were
told, the server's memory and open files before and after, and what it logged. Exit code 1: an
answer was another one, or the server kept files, or logged an error, or takes no more work.
"""

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from pool import bundle_of  # noqa: E402

UPGRADE = (
    b"GET /stream?width=8&height=8 HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
    b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n"
)
UPLOAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
AT_A_TIME = 40
SECONDS = 60.0  # that one connection may take; the server's own limits are far below
LIMITS = {"idle_seconds": 10, "max_streams": 16, "max_connections": 64, "max_upload_mb": 1}


def frame(first_byte: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """A frame of RFC 6455, section 5.2, masked with zeros; its length may be another one's."""
    size = len(payload) if length is None else length
    if size < 126:
        head = bytes([first_byte, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([first_byte, 0x80 | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first_byte, 0x80 | 127]) + struct.pack("!Q", size)
    return head + bytes(4) + payload


# What is sent behind a connection, or behind a WebSocket's handshake.
HTTP = {
    "nothing, cut": b"",
    "noise": os.urandom(2000) + b"\r\n\r\n",
    "half a head, cut": b"GET / HT",
    "a head of 40 kB": b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000,
    "no such page": b"GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "an upload of 2 GB": UPLOAD % 2_000_000_000,
    "an upload that is cut": UPLOAD % 1000 + b"x",
    "a video of noise": UPLOAD % 1000 + os.urandom(1000),
    "a page of another site": UPGRADE % b"origin: http://evil.example\r\n",
    "a handshake with 200 headers": UPGRADE % b"".join(b"x%d: y\r\n" % n for n in range(200)),
}
SOCKETS = {
    "a frame that is no picture": frame(0x82, b"no picture"),
    "a message of 4 EB": frame(0x82, b"", 1 << 62),
    "a packed message": frame(0xC2, b"x" * 100),
    "an unknown kind of frame": frame(0x83, b"x"),
    "text that is not UTF-8": frame(0x81, b"\xff\xfe"),
    "a flood of pings": frame(0x89, b"x" * 100) * 3000,
    "a flood of empty parts": frame(0x02) + frame(0x00) * 20_000,
    "a flood of texts": frame(0x81, b"reset") * 3000,
    "a frame, cut before its answer": frame(0x82, bytes(192)),
}
# A video is a second's work for the one process that takes them; it is the rare one.
_QUICK = [name for name in (*HTTP, *SOCKETS) if name != "a video of noise"]
KINDS = [*_QUICK, "a video of noise", *(_QUICK * 9)]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connects", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1800, help="at most")
    parser.add_argument("--model", default="movinet_t0_stream")
    parser.add_argument("--bundle", type=Path, help="in place of --model with random weights")
    parser.add_argument("--engine", default="auto")
    return parser.parse_args()


async def misbehave(port: int, name: str, told: "collections.Counter[str]") -> None:
    """One connection, and what the server says to it."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        told[f"{name}: {type(error).__name__}"] += 1
        return
    said = b""
    try:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            if name in SOCKETS:
                writer.write(UPGRADE % b"")
                said = await asyncio.wait_for(reader.read(1000), SECONDS)
            if name in HTTP or said.startswith(b"HTTP/1.1 101"):
                writer.write(HTTP.get(name) or SOCKETS.get(name, b""))
                if "cut" not in name:
                    said = await asyncio.wait_for(reader.read(1000), SECONDS)
                else:
                    said = b""
    finally:
        writer.transport.abort()
    told[f"{name}: {words_of(said)}"] += 1


def words_of(said: bytes) -> str:
    """A status, the code of a closing frame, or nothing."""
    if said.startswith(b"HTTP/1.1 "):
        return said[9:12].decode()
    at = said.find(b"\x88")
    if at >= 0 and len(said) >= at + 4:
        return str(struct.unpack("!H", said[at + 2 : at + 4])[0])
    found = re.search(rb'"error": ?"(\w+)"', said)
    return found[1].decode() if found else "closed"


async def well_behaved(
    address: str, pictures: list[np.ndarray], expected: list[object], is_over: asyncio.Event
) -> tuple[int, int]:
    """The frames again and again, each time from the beginning; answers, and the wrong ones."""
    from websockets.asyncio.client import connect

    height, width, _ = pictures[0].shape
    count = wrong = 0
    query = f"/stream?width={width}&height={height}&top_k=3"
    async with connect(address + query, compression=None, open_timeout=60) as socket:
        while not (is_over.is_set() and count):
            await socket.send("reset")
            for picture, right in zip(pictures, expected, strict=True):
                await socket.send(picture.tobytes())
                line = json.loads(await asyncio.wait_for(socket.recv(), 120))
                count += 1
                wrong += line.get("top") != right
        await socket.send("end")
    return count, wrong


async def attack(
    port: int,
    connects: int,
    seconds: float,
    pictures: list[np.ndarray],
    expected: list[object],
) -> tuple[int, int, "collections.Counter[str]"]:
    """The well-behaved client beside all others: its answers, the wrong ones, what others heard."""
    told: collections.Counter[str] = collections.Counter()
    names = itertools.islice(itertools.cycle(KINDS), connects)
    is_over = asyncio.Event()
    end = time.monotonic() + seconds
    good = asyncio.create_task(well_behaved(f"ws://127.0.0.1:{port}", pictures, expected, is_over))

    async def some() -> None:
        for name in names:
            if time.monotonic() < end:
                await misbehave(port, name, told)

    await asyncio.sleep(0.5)  # it has its place first
    await asyncio.gather(*(some() for _ in range(AT_A_TIME)))
    is_over.set()
    count, wrong = await good
    return count, wrong, told


def session_answers(bundle: Path, engine: str, pictures: list[np.ndarray]) -> list[object]:
    """What a session of this process answers."""
    import paddlevideo

    predictor = paddlevideo.load_predictor(bundle, device="cpu", engine=engine, cpu_threads=1)
    session = predictor.open_stream(top_k=3)
    return [[vars(item) for item in session.push(picture).top] for picture in pictures]


def state_of(pid: int) -> tuple[float, int]:
    """Resident megabytes and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1e3
    return resident, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def is_healthy(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
        body = json.load(answer)
    return body["status"] == "ok" and not body["streams"] and not body["videos"]


def settled(port: int, pid: int, files: int) -> tuple[float, int]:
    """Memory and files once what was cut has been noticed; silent ones have their seconds."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.5)
        if is_healthy(port) and state_of(pid)[1] <= files:
            break
    return state_of(pid)


def measure(port: int, pid: int, arguments: argparse.Namespace, bundle: Path) -> bool:
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (8, 40, 48, 3), np.uint8))
    expected = session_answers(bundle, arguments.engine, pictures)
    # What the first clients bring with them is no growth.
    asyncio.run(attack(port, min(200, arguments.connects // 3), 600, pictures, expected))
    files = state_of(pid)[1]
    before, files = settled(port, pid, files)
    begun = time.monotonic()
    connects, limit = arguments.connects, arguments.seconds
    count, wrong, told = asyncio.run(attack(port, connects, limit, pictures, expected))
    seconds = time.monotonic() - begun
    after, files_after = settled(port, pid, files)
    for words, number in sorted(told.items()):
        print(f"  {number:6d}  {words}")
    print(
        f"{sum(told.values())} connects in {seconds:.0f} s; {count} answers beside them, {wrong} "
        f"of them wrong; resident {before:.0f} MB before, {after:.0f} MB after; open files "
        f"{files} and {files_after}; healthy: {is_healthy(port)}"
    )
    return not wrong and count > 0 and files_after <= files and is_healthy(port)


def serve_and_measure(bundle: Path, arguments: argparse.Namespace) -> bool:
    limits = [text for name, value in LIMITS.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "paddlevideo", "serve", str(bundle), "--port", "0",
               "--engine", arguments.engine, *limits]  # fmt: skip
    log: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = None
            while port is None:
                line = server.stderr.readline()
                if not line:
                    raise SystemExit(f"the server ended with {server.wait()}")
                found = re.search(r"serving http://127.0.0.1:(\d+)/", line)
                port = int(found[1]) if found else None
            threading.Thread(target=lambda: log.extend(server.stderr), daemon=True).start()
            is_right = measure(port, server.pid, arguments, bundle)
        finally:
            server.terminate()
            code = server.wait(timeout=60)
    unwanted = [line for line in log if " INFO: " not in line]
    print(f"the server ended with {code}; {len(unwanted)} lines in its log")
    print("".join(unwanted[:60]), end="")
    return is_right and code == 0 and not unwanted


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_of(arguments.bundle, arguments.model, Path(folder) / "bundle")
        sys.exit(0 if serve_and_measure(bundle, arguments) else 1)


if __name__ == "__main__":
    main()
