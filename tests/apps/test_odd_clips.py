"""Every odd clip of the shared manifest, in a list and as a stream: as its note says."""

import csv
import logging
from pathlib import Path

import av
import numpy as np
import pytest
from runtime.conftest import LABELS
from runtime.stream_fakes import FakeRunner, view

from paddlevideo.apps.bulk.prediction import VideoFailure, predict_files
from paddlevideo.apps.sources.factory import open_source
from paddlevideo.apps.visualization.visualizations import OverlayVideo, TimelinePlot
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import VideoResult, open_predictor
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.session_options import StreamOptions
from paddlevideo.utils.errors import DataError

FEW = 60  # frames: of longer clips no picture is made, for the time it takes


@pytest.fixture(scope="module")
def odd_rows(shared_dir) -> list[dict[str, str]]:
    with (shared_dir / "videos" / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if Path(row["path"]).name.startswith("odd_")]
    assert len(rows) >= 14
    return rows


def has_video(row: dict[str, str]) -> bool:
    return row["frames"] != "0"


def test_in_a_list(odd_rows, shared_dir, exported):
    """What has pictures is classified, of whatever size and length; the rest is a failure."""
    paths = [shared_dir / "videos" / row["path"] for row in odd_rows]
    predictor = open_predictor(exported, EngineOptions(device="cpu", cpu_threads=1))
    for row, result in zip(odd_rows, predict_files(predictor, paths, 4, 1), strict=True):
        assert isinstance(result, VideoResult) == has_video(row), row["path"]
        if isinstance(result, VideoFailure):
            assert "no video stream" in row["note"] and "no video stream" in result.reason
        else:
            assert result.label in LABELS


def test_as_streams(odd_rows, shared_dir, tmp_path, caplog):
    """The frames that the manifest counts, upright, in order; damage is told; so in pictures."""
    for row in odd_rows:
        caplog.clear()
        source = shared_dir / "videos" / row["path"]
        if not has_video(row):
            with pytest.raises(DataError, match="no video stream"):
                list(open_source(source))
            continue
        with caplog.at_level(logging.WARNING):
            times, shape, results = streamed(source, tmp_path, int(row["frames"]) <= FEW)
        # The manifest counts up to the damage; 49 of the 50 frames decode.
        expected = 49 if "damaged" in row["note"] else int(row["frames"])
        assert len(times) == expected, row["path"]
        assert (np.diff(times) > 0).all() and results
        size = (int(row["width"]), int(row["height"]))
        assert shape == (size if "rotation=-90" in row["note"] else size[::-1]), row["path"]
        assert ("damaged: " in caplog.text) == ("damaged" in row["note"])
        if int(row["frames"]) <= FEW:
            with av.open(str(tmp_path / "o.mp4")) as container:
                shown = [frame.time for frame in container.decode(video=0)]
            np.testing.assert_allclose(shown, times, atol=2e-5)
            assert (tmp_path / "p.png").stat().st_size > 5000


def streamed(source: Path, folder: Path, with_pictures: bool):
    """Times of all frames, the shape of the first, and the answers."""
    session = StreamSession(FakeRunner(), view(), StreamOptions())
    pictures = []
    if with_pictures:
        pictures = [
            OverlayVideo(folder / "o.mp4", session.labels),
            TimelinePlot(folder / "p.png", session.labels, source.name),
        ]
    times, results, shape = [], [], None
    for frame in open_source(source):
        result = session.push(frame.rgb, frame.time_seconds)
        times.append(frame.time_seconds)
        shape = shape or frame.rgb().shape[:2]
        if result is not None:
            results.append(result)
        for picture in pictures:
            picture.add(frame.rgb, frame.time_seconds, result)
    for picture in pictures:
        picture.finish()
    return times, shape, results
