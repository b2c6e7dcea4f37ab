"""From starting tools/predict.py on a stream to its first result, and what is imported for it.

python benchmarks/start_up.py [--model movinet_a0_stream] [--engine onnxruntime] [--repeats 5]
python benchmarks/start_up.py --before CHECKOUT     # in turns with the code of another checkout
python benchmarks/start_up.py --first               # engine auto, nothing compiled yet

Each start is a process of its own, on a file of noise of 320x240; the first one, which reads
libraries from the disk, is left out. With ``--first`` each has an empty cache; what it lets compile
in the background is ended.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pool import ROOT

# What it takes from Python: imports, opening a stream, its first answer.
FIRST_START = """
import json, sys, time
times = [time.perf_counter()]
import numpy as np
import paddlevideo
load = paddlevideo.load_predictor
times.append(time.perf_counter())
stream = load(sys.argv[1], device="cpu").open_stream()
times.append(time.perf_counter())
stream.push(np.zeros((*stream.frame_size, 3), np.uint8))
times.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(times, times[1:])]), flush=True)
"""


def write_noise(path: Path, frames: int = 50) -> None:
    import cv2
    import numpy as np

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
    rng = np.random.default_rng(0)
    for _ in range(frames):
        writer.write(rng.integers(0, 256, (240, 320, 3), np.uint8))
    writer.release()


def exported_by(tree: Path, model: str, folder: Path) -> Path:
    """A bundle written by a checkout's own code, as an older one does not read a newer's."""
    code = "import sys, pathlib, pool; pool.exported(sys.argv[1], pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-W", "ignore", "-c", code, model, str(folder)]
    subprocess.run(command, cwd=tree / "benchmarks", check=True)
    return folder


def seconds_to_first_line(command: list[str]) -> float:
    """Until the command prints its first line; it is let run to its end.

    Raises:
        CalledProcessError: it failed.
    """
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - begun
        process.stdout.read()
    if process.returncode or not line:
        raise subprocess.CalledProcessError(process.returncode, command)
    return taken


def first_starts(bundle: Path, repeats: int) -> None:
    """Print what the first start of ``auto`` takes, each with an empty cache."""
    rows = []
    for _ in range(repeats + 1):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            environment = {**os.environ, "PADDLEVIDEO_HOME": home, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-W", "ignore", "-c", FIRST_START, str(bundle)]
            begun = time.perf_counter()
            with subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as process:
                assert process.stdout is not None
                line = process.stdout.readline()
                whole = time.perf_counter() - begun
            end_compilation(Path(home))
            rows.append([whole, *json.loads(line)])
    columns = zip(*rows[1:], strict=True)
    whole, imports, opening, push = map(statistics.median, columns)
    least = min(row[0] for row in rows[1:])
    print(
        f"first start, auto: least {least:.2f} s, median {whole:.2f} s from the process's start "
        f"to the first answer; "
        f"imports {imports:.2f} s, opening {opening:.2f} s, the answer {push:.3f} s"
    )


def end_compilation(home: Path) -> None:
    """End the process that compiles; its lock says which it is."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for lock in home.glob("kernels/*.lock"):
            text = lock.read_text()
            if text:
                os.kill(json.loads(text)["pid"], signal.SIGTERM)
                return
        time.sleep(0.05)


def imports_of(command: list[str]) -> dict[str, float]:
    """Seconds of the largest packages, of what Python's own -X importtime tells."""
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, check=True
    )
    seconds = {}
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[1].strip().isdigit() and "." not in parts[2]:
            seconds[parts[2].strip()] = int(parts[1]) / 1e6
    wanted = ("paddle", "numba", "numpy", "av", "cv2", "onnxruntime", "pydantic", "yaml")
    return {name: seconds[name] for name in wanted if name in seconds}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="movinet_a0_stream")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="to compare with")
    parser.add_argument("--first", action="store_true", help="nothing is compiled yet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.first:
            first_starts(exported_by(ROOT, arguments.model, Path(folder)), arguments.repeats)
            return
        video = Path(folder) / "noise.mp4"
        write_noise(video)
        trees = [ROOT, *([arguments.before.resolve()] if arguments.before else [])]
        commands = [
            [
                *(sys.executable, str(tree / "tools" / "predict.py"), "--stream"),
                *("--model_dir", str(exported_by(tree, arguments.model, Path(folder, str(n))))),
                *("--input_file", str(video), "--engine", arguments.engine),
            ]
            for n, tree in enumerate(trees)
        ]
        turns = [
            [seconds_to_first_line(command) for command in commands]
            for _ in range(arguments.repeats + 1)
        ][1:]
        imports = imports_of(commands[0])
    taken = [turn[0] for turn in turns]
    if arguments.before:
        ratios = [now / before for now, before in turns]
        print(f"of the time of {arguments.before}: median {statistics.median(ratios):.2f}")
    print(
        f"{arguments.model}, {arguments.engine}, start to first result: "
        f"median {statistics.median(taken):.2f} s, least {min(taken):.2f} s"
    )
    print("of it importing: " + ", ".join(f"{name} {s:.2f} s" for name, s in imports.items()))


if __name__ == "__main__":
    main()
