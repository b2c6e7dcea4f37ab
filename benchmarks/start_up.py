"""From starting tools/predict.py on a stream to its first result, and what is imported for it.

python benchmarks/start_up.py [--model movinet_a0_stream] [--engine onnxruntime] [--repeats 5]
python benchmarks/start_up.py --before CHECKOUT     # in turns with the code of another checkout

Each start is a process of its own, on a file of noise of 320x240; the first one, which reads
libraries from the disk, is left out.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pool import ROOT


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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
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
