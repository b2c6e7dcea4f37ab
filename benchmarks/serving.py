"""Load of `paddlevideo serve` on the loopback address: many clients, each as fast as it is served.

python benchmarks/serving.py [--clients 64] [--seconds 60 | --frames N]
    [--model movinet_a0_stream] [--bundle DIR] [--hostile]

The server is a process of its own, the clients are one more, and both share the machine's cores.
Every client sends the next frame (raw rgb24 of the model's size) when the last one was answered.
Reported: frames a second, the slowest client's frames by the mean, errors, and the server's
resident memory behind each eighth of the run. With `--hostile` other clients come and go
meanwhile: cut ones, slow ones, malformed and too large frames.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from pool import bundle_of  # noqa: E402


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--frames", type=int, help="of all clients, in place of --seconds")
    parser.add_argument("--model", default="movinet_a0_stream")
    parser.add_argument("--bundle", type=Path, help="in place of --model with random weights")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--hostile", action="store_true")
    return parser.parse_args()


def resident_megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1e3


def step_figures(port: int) -> str:
    """Of the server's own counters: how full its steps are, and how long they take."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read().decode()
    values = {
        name: float(re.search(rf"^paddlevideo_step_{name} (\S+)$", text, re.M)[1])
        for name in ("seconds_sum", "seconds_count", "streams_sum")
    }
    count = values["seconds_count"]
    return (
        f"{values['streams_sum'] / count:.1f} streams a step, "
        f"{1e3 * values['seconds_sum'] / count:.0f} ms"
    )


class Progress:
    """How far the run is: by its frames where their number is given, or else by the clock."""

    def __init__(self, seconds: float, frames: int | None) -> None:
        self._begun, self._seconds, self._frames = time.perf_counter(), seconds, frames
        self.count = 0

    @property
    def share(self) -> float:
        """0 at the beginning; 1 or more: it is over."""
        if self._frames is not None:
            return self.count / self._frames
        return (time.perf_counter() - self._begun) / self._seconds


async def client(address: str, side: int, progress: Progress, seed: int) -> tuple[int, str | None]:
    """Frames that were answered, and what went wrong."""
    import numpy as np
    from websockets.asyncio.client import connect

    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, 256, (side, side, 3), np.uint8).tobytes() for _ in range(4)]
    count = 0
    try:
        query = f"/stream?width={side}&height={side}&top_k=1"
        async with connect(address + query, compression=None, open_timeout=60) as socket:
            while progress.share < 1:
                await socket.send(frames[count % len(frames)])
                await asyncio.wait_for(socket.recv(), 60)
                count += 1
                progress.count += 1
    except Exception as error:  # noqa: BLE001 - every kind of failure is counted
        return count, repr(error)
    return count, None


async def hostile(address: str, progress: Progress, kind: int) -> None:
    """Misbehave, again and again."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    while progress.share < 1:
        try:
            async with connect(f"{address}/stream", compression=None) as socket:
                if kind == 0:
                    await socket.send(b"no picture")
                elif kind == 1:
                    await socket.send(bytes(9_000_000))
                elif kind == 2:
                    socket.transport.abort()
                await asyncio.sleep(0.2)
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)


async def load(port: int, side: int, pid: int, arguments: argparse.Namespace) -> None:
    address = f"ws://127.0.0.1:{port}"
    begun = time.perf_counter()
    progress = Progress(arguments.seconds, arguments.frames)
    clients = [
        asyncio.create_task(client(address, side, progress, seed))
        for seed in range(arguments.clients)
    ]
    others = [
        asyncio.create_task(hostile(address, progress, kind))
        for kind in range(4)
        if arguments.hostile
    ]
    resident: list[float] = []
    for part in range(1, 9):
        # The last look is before the clients leave.
        while progress.share < min(part / 8, 0.99) and not all(task.done() for task in clients):
            await asyncio.sleep(0.1)
        resident.append(resident_megabytes(pid))
    steps = await asyncio.to_thread(step_figures, port)
    results = await asyncio.gather(*clients)
    await asyncio.gather(*others)
    counts = [count for count, _ in results]
    errors = [error for _, error in results if error]
    mean, seconds = statistics.mean(counts), time.perf_counter() - begun
    print(
        f"{arguments.clients} clients, {seconds:.0f} s: {sum(counts)} frames, "
        f"{sum(counts) / seconds:.0f} frames/s; slowest {min(counts)} of mean {mean:.1f} frames "
        f"({min(counts) / mean:.3f}); errors {len(errors)}; resident "
        f"{', '.join(f'{value:.0f}' for value in resident)} MB; {steps}"
    )
    for error in errors[:5]:
        print(error)


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_of(arguments.bundle, arguments.model, Path(folder) / "bundle")
        from paddlevideo.runtime import read_bundle

        side = read_bundle(bundle).manifest.step.inputs[0].shape[-1]
        streams = arguments.clients + (4 if arguments.hostile else 0)
        command = [sys.executable, "-m", "paddlevideo", "serve", str(bundle), "--port", "0",
                   "--engine", arguments.engine, "--max_streams", str(streams),
                   "--max_connections_per_address", str(2 * streams + 16)]  # fmt: skip
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
            try:
                port = None
                while port is None:
                    line = server.stderr.readline()
                    if not line:
                        raise SystemExit(f"the server ended with {server.wait()}")
                    print(line, end="")
                    found = re.search(r"serving http://127.0.0.1:(\d+)/", line)
                    port = int(found[1]) if found else None
                asyncio.run(load(port, side, server.pid, arguments))
            finally:
                server.terminate()
                print(f"the server ended with {server.wait(timeout=60)}")


if __name__ == "__main__":
    main()
