"""Another number of frames for a pipeline: what ``--frames`` of the export changes."""

from collections.abc import Mapping

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode


def with_frames(pipeline: ReadNode, num_frames: int) -> Node:
    """Return the description of a pipeline whose clips have ``num_frames`` frames.

    Raises:
        ConfigError: it has several inputs, or a sampler of which no argument is that number.
    """
    sample = pipeline.get("sample")
    if not isinstance(sample, Mapping):
        raise ConfigError(
            "--frames: the pipeline has several inputs, each with frames of its own; change "
            "INFERENCE.inputs.<input>.sample"
        )
    if "num_frames" in sample:
        key = "num_frames"
    elif "num_seg" in sample and sample.get("seg_len", 1) == 1:
        key = "num_seg"
    else:
        raise ConfigError(
            f"--frames: the sampler {sample.get('name')} has neither num_frames nor num_seg of "
            "single frames; change INFERENCE.sample"
        )
    return {**pipeline, "sample": {**sample, key: num_frames}}
