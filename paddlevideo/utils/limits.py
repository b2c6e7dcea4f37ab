"""The limits on what a foreign file may ask for: one table, and one way to raise them.

The environment variable ``PADDLEVIDEO_LIMITS`` raises or lowers them, for a command and the
processes it starts: ``PADDLEVIDEO_LIMITS=frame_pixels=2e8,open_seconds=60``. Every error that a
limit causes names the limit and this variable (docs/reliability.md).
"""

import math
import os
from collections.abc import Mapping

from paddlevideo.utils.errors import ConfigError, nearest_hint

LIMITS_VARIABLE = "PADDLEVIDEO_LIMITS"

# Name -> default. The unit is the last word of the name, or a number of the thing it names.
DEFAULT_LIMITS: Mapping[str, float] = {
    "frame_pixels": 40e6,  # one decoded frame or image: 8K video has 33 million
    "frame_aspect": 32,  # longer side of a frame by its shorter one
    "clip_pixels": 420e6,  # all frames of a clip before any scaling: 50 of 4K, 1.3 GB
    "video_frames": 1e6,  # frames of one video file: 11 hours at 25 frames/s
    "clip_frames": 10_000,  # frames that a clip may be made of
    "open_seconds": 10,  # opening one local video file
    "read_seconds": 10,  # decoding one local video file, and the next line's for its size
    "read_seconds_per_megabyte": 30,
    "gap_seconds": 600,  # a gap of a recording that a stream fills with the frame before it
    "bad_packets": 250,  # damaged packets in a row before the rest of a video is given up
    "lost_share": 0.5,  # share of a video's frames that may be lost
    "config_bytes": 2e6,  # a YAML or JSON file: a config or a manifest
    "config_depth": 50,  # nesting of mappings and lists in it
    "config_nodes": 100_000,  # values in it, with its aliases written out
    "config_bases": 100,  # files that a config includes through _base_, each counted once
    "list_bytes": 512e6,  # a list of samples
    "shard_index_bytes": 256e6,  # shards.json: about 1.5 million samples
    "state_bytes": 1e9,  # all states of one stream, as a manifest lists them
    "tensor_bytes": 8e9,  # one tensor of a weights file or a program
    "map_bytes": 1e9,  # all maps of a stream in a program of the compiled engine; see docs
    "tensors": 20_000,  # tensors in one weights file
    "weights_header_bytes": 4e6,  # the list of tensors of a .safetensors file, the graph of TF's
    "index_bytes": 16e6,  # the .index file of a TensorFlow checkpoint
    "archive_bytes": 256e6,  # a .npz or .pt unpacked; 10 times the file's own size, if that is more
    "download_bytes": 512e6,  # one downloaded file: the largest released one has 72 MB
    "tflite_bytes": 512e6,  # a .tflite file
    "program_bytes": 32e6,  # a .json program of Paddle, whose weights are wanted
    "golden_values": 20e6,  # numbers of an input that a golden describes by a seed
    "pickle_steps": 1e6,  # operations of a .pdparams or .pt file, and the values that it holds
    "pickle_depth": 100,  # nesting of containers in a .pdparams or .pt file
}


def limit(name: str) -> float:
    """Return the limit ``name`` that is in force.

    Raises:
        ConfigError: ``PADDLEVIDEO_LIMITS`` holds an unknown name, or a value that is not a number
            above 0.
    """
    return _stated_limits().get(name, DEFAULT_LIMITS[name])


def how_to_raise(name: str) -> str:
    """The end of a message about a limit: its name, its value, and how another is set."""
    return (
        f"the limit {name} is {limit(name):.10g}; {LIMITS_VARIABLE}={name}=... sets another "
        "(docs/reliability.md)"
    )


def _stated_limits() -> dict[str, float]:
    stated: dict[str, float] = {}
    parts = os.environ.get(LIMITS_VARIABLE, "").split(",")
    for entry in filter(None, (part.strip() for part in parts)):
        name, _, text = entry.partition("=")
        name = name.strip()
        if name not in DEFAULT_LIMITS:
            raise ConfigError(
                f"{LIMITS_VARIABLE}: unknown limit {name[:100]!r}; "
                f"{nearest_hint(name[:100], DEFAULT_LIMITS)}"
            )
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not value > 0:
            raise ConfigError(
                f"{LIMITS_VARIABLE}: {name} is {text[:100]!r}, expected a number above 0"
            )
        stated[name] = value
    return stated
