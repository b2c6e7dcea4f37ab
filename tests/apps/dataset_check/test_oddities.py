"""What is odd about a file: every note of the shared manifest, and what no shared file has."""

import csv
from fractions import Fraction

import av
import numpy as np
import pytest

from apps.own_videos.footage import footage
from paddlevideo.apps.own_videos.file_scan import scan_file
from paddlevideo.apps.own_videos.oddities import OddKind

# What a note of the manifest says -> what is found.
NOTES = {
    "display-matrix rotation": OddKind.ROTATED,
    "very short": OddKind.FEW_FRAMES,
    "4 frames, packets": OddKind.FEW_FRAMES,
    "not in presentation order": OddKind.REORDERED,
    "2 video": OddKind.STREAMS,
    "10 frames at 10 fps": OddKind.FEW_FRAMES,
    "yuv420p10le": OddKind.DEPTH,
    "alpha channel": OddKind.ALPHA,
    "variable frame rate": OddKind.VARIABLE_RATE,
    "portrait": OddKind.PORTRAIT,
    "no frame count in header": OddKind.NO_COUNT,
    "1x1 pixel": OddKind.SMALL,
    "edit list": OddKind.COUNT,
    "noise, 13 frames": OddKind.FEW_FRAMES,
    "SAR ": OddKind.OBLONG_PIXELS,
    "presentation times not monotonic": OddKind.BACKWARD,
    "in a file named .mp4": OddKind.CONTAINER,
    "frame count absent from header": OddKind.NO_COUNT,
}


def test_every_note_of_the_manifest(shared_dir):
    with (shared_dir / "videos" / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("clips/")]
    seen = set()
    for row in rows:
        wanted = {kind for words, kind in NOTES.items() if words in row["note"]}
        if not wanted and "damaged" not in row["note"] and "no video" not in row["note"]:
            continue
        scan = scan_file(shared_dir / "videos" / row["path"])
        assert wanted <= {odd.kind for odd in scan.oddities}, row["path"]
        seen |= wanted
        if "damaged" in row["note"]:
            assert scan.is_usable and scan.frames_lost == 1
        if "no video" in row["note"]:
            assert not scan.has_video and scan.reason == "there is no video stream in it"
    assert seen == set(NOTES.values())


def write(path, gaps, codec="mpeg4", **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100)
        times = np.concatenate([[0], np.cumsum(gaps)])
        for image, time in zip(footage(1, len(times)), times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return {odd.kind for odd in scan_file(path).oddities}


@pytest.mark.parametrize(("gaps", "is_variable"), [([4] * 19, False), ([4] * 18 + [9], True)])
def test_a_variable_rate(tmp_path, gaps, is_variable):
    assert (OddKind.VARIABLE_RATE in write(tmp_path / "a.mp4", gaps)) == is_variable


def test_interlaced(tmp_path):
    flags = {"flags": "+ildct+ilme", "top": "1"}
    assert OddKind.INTERLACED in write(tmp_path / "a.mpg", [4] * 19, "mpeg2video", **flags)
