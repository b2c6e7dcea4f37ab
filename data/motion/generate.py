"""Generate the built-in data set of moving shapes: ``python data/motion/generate.py``.

See README.md beside this file for what the videos show and how to train on them.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # started by path: the package need not be installed
    sys.path.insert(1, str(Path(__file__).resolve().parents[2]))

from motion_clips import MOTIONS
from motion_dataset import MotionParameters, generate_dataset

from paddlevideo.utils.errors import PaddleVideoError

DEFAULT_OUTPUT = Path(__file__).resolve().parent / "videos"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    default = MotionParameters()
    parser = argparse.ArgumentParser(
        description=f"Write videos of moving shapes. Classes: {', '.join(MOTIONS)}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="folder to write to")
    parser.add_argument("--train", type=int, default=default.train, help="videos to train on")
    parser.add_argument("--val", type=int, default=default.val, help="videos to validate on")
    parser.add_argument("--seed", type=int, default=default.seed, help="of all random numbers")
    parser.add_argument("--size", type=int, default=default.size, help="height and width, pixels")
    parser.add_argument("--frames", type=int, default=default.frames, help="frames of each video")
    parser.add_argument("--fps", type=int, default=default.fps, help="frames per second")
    parser.add_argument("--workers", type=int, default=2, help="processes; results do not depend")
    parser.add_argument(
        "--force", action="store_true", help="overwrite a data set with other parameters"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate the data set, or say that it is there. Returns the exit code."""
    options = parse_arguments(arguments)
    start_seconds = time.monotonic()
    try:
        parameters = MotionParameters(
            train=options.train,
            val=options.val,
            seed=options.seed,
            size=options.size,
            frames=options.frames,
            fps=options.fps,
        )
        outcome = generate_dataset(options.output, parameters, options.workers, options.force)
    except (PaddleVideoError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to write the rest", file=sys.stderr)
        return 130
    seconds = time.monotonic() - start_seconds
    if outcome.written:
        what = f"wrote {outcome.written} of {outcome.total} videos in {seconds:.1f} s"
    else:
        what = f"already there: {outcome.total} videos"
    print(f"{options.output}: {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
