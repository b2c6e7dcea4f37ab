"""``--frames``: the pipeline's own argument of that meaning, whatever the sampler calls it."""

import pytest

from paddlevideo.runtime.clip_length import with_frames
from paddlevideo.utils.errors import ConfigError
from paddlevideo.video import Pipeline
from runtime.conftest import PIPELINE


@pytest.mark.parametrize(
    "sample",
    [
        {"name": "UniformSampler", "num_frames": 4},
        {"name": "Sampler", "num_seg": 4, "seg_len": 1, "valid_mode": True},
        {"name": "Sampler", "num_seg": 4},
    ],
)
def test_frames(sample):
    pipeline = {**PIPELINE, "sample": sample}
    assert Pipeline(with_frames(pipeline, 7), "INFERENCE").inputs["clip"].num_frames == 7
    assert pipeline["sample"] == sample


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ({"views": {}}, "several inputs"),
        (
            {"sample": {"name": "Sampler", "num_seg": 4, "seg_len": 2}},
            "sampler Sampler has neither",
        ),
    ],
)
def test_pipelines_without_one_number(pipeline, message):
    with pytest.raises(ConfigError, match=message):
        with_frames(pipeline, 7)
