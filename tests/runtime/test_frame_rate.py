"""The frame rate of a stream: what tells it, and what is said where nothing does."""

import logging

import pytest

from paddlevideo.runtime.frame_rate import RateSources, stream_frame_rate
from paddlevideo.video import Pipeline
from runtime.conftest import PIPELINE


def strided(stride, **more):
    sample = {"name": "StridedSampler", "num_frames": 4, "stride": stride, **more}
    return {**PIPELINE, "sample": sample}


@pytest.mark.parametrize(
    ("exported_by", "trained_by", "stated", "rate", "warning"),
    [
        (strided(4, stride_fps=30), strided(4, stride_fps=30), None, 7.5, None),
        (strided(4, stride_fps=30), strided(5, stride_fps=25), None, 7.5, "on clips of 5;"),
        (
            strided(4, stride_fps=30),
            strided(5, stride_fps=30, random_stride_range=3),  # 2 to 7
            None,
            7.5,
            None,
        ),
        (strided(4, stride_fps=30), PIPELINE, None, 7.5, "training's UniformSampler has no frame"),
        (PIPELINE, strided(4, stride_fps=30), None, 7.5, "exported pipeline's UniformSampler has"),
        (PIPELINE, PIPELINE, None, 2.5, "rate of the stream is not known: UniformSampler"),
        (strided(4), None, None, 2.5, "rate of the stream is not known: StridedSampler"),
        (PIPELINE, PIPELINE, 12.5, 12.5, None),
        (strided(5, stride_fps=25), strided(5, stride_fps=25), 12.5, 12.5, "on clips of 5;"),
    ],
)
def test_the_stream_has_the_rate_of_training(
    caplog, exported_by, trained_by, stated, rate, warning
):
    view, trained = (Pipeline(node).input for node in (exported_by, trained_by or PIPELINE))
    sources = RateSources(stated, view.sampler, trained.sampler if trained_by else None, 2.5)
    with caplog.at_level(logging.INFO):
        assert stream_frame_rate(sources) == rate
    warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == (warning is not None)
    assert warning is None or warning in warnings[0]
    assert f"{rate:g} frames/s" in caplog.text
