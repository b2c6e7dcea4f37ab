"""tools/predict.py --stream, and lists of files that are gone on with, as a user runs them."""

import json
import signal
import subprocess
import sys
import time

import av
import pytest
from PIL import Image
from runtime.conftest import LABELS
from runtime.test_streaming import stream_bundle, stream_model  # noqa: F401 - fixtures
from video.conftest import write_video

from apps.stream_servers import LiveServer, write_timed
from apps.test_tools import ROOT, run


def stream(bundle, source, *options, cwd):
    return run(
        "predict.py", "--stream", "--model_dir", bundle.folder, "-i", source, "--use_gpu=False",
        "--cpu_threads", 1, *options, cwd=cwd,
    )  # fmt: skip


def test_a_file(stream_bundle, tmp_path):  # noqa: F811
    """One JSON line a step, the same in the file, and a summary."""
    video = write_video(tmp_path / "a.mp4", 50)
    done = stream(
        stream_bundle, video, "--top_k", 2, "--window", 1, "--smooth", 0.5, "--output",
        "out/s.jsonl", "--max_seconds", 1.5, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["time_seconds"] for line in lines] == [round(0.2 * n, 1) for n in range(8)]
    for line in lines:
        assert list(line) == ["time_seconds", "label", "index", "score", "latency_ms", "top"]
        assert line["label"] == LABELS[line["index"]] and len(line["top"]) == 2
        assert 0 < line["score"] <= 1 and line["latency_ms"] > 0
    assert (tmp_path / "out" / "s.jsonl").read_text(encoding="utf-8") == done.stdout
    summary = done.stderr.splitlines()[-1]
    assert " 8 steps, 30 left out to keep 5 frames/s, 0 dropped to keep up, 1 new starts" in summary
    assert "ms mean" in summary and "ms p95" in summary


def test_ctrl_c_is_a_clean_end(stream_bundle, tmp_path):  # noqa: F811
    """From a live stream: a summary, exit code 0, no traceback."""
    video = write_timed(tmp_path / "a.ts", [40 * n for n in range(250)], 64, format="mpegts")
    with LiveServer(video, pause=0.25) as server:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "predict.py"), "--stream", "-i", server.url,
             "--model_dir", str(stream_bundle.folder), "--use_gpu=False"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, errors = process.communicate(timeout=20)
    assert 0 <= first["time_seconds"] < 10  # live: what came before it was ready is dropped
    assert process.returncode == 0, errors
    assert "frames read" in errors.splitlines()[-1] and "Traceback" not in errors
    assert time.monotonic() - begun < 15


def test_pictures_of_a_file(stream_bundle, tmp_path):  # noqa: F811
    """Beside the lines as ever: every frame in the video, at its time, and a plot."""
    video = write_video(tmp_path / "a.mp4", 26)
    done = stream(
        stream_bundle, video, "--save_video", "out/o.mp4", "--save_plot", "out/p.png", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 6 and "top" not in lines[0]
    times, _ = picture_times(tmp_path / "out" / "o.mp4")
    assert times == [40 * n for n in range(26)]
    with Image.open(tmp_path / "out" / "p.png") as plot:
        assert plot.size[0] == 1400
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["o.mp4", "p.png"]


def test_pictures_of_a_stream_that_is_interrupted(stream_bundle, tmp_path):  # noqa: F811
    """Ctrl-C: what was seen so far is a whole video and a plot."""
    video = write_timed(tmp_path / "a.ts", [40 * n for n in range(250)], 64, format="mpegts")
    (tmp_path / "out").mkdir()
    with LiveServer(video, pause=0.1) as server:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "predict.py"), "--stream", "-i", server.url,
             "--model_dir", str(stream_bundle.folder), "--use_gpu=False",
             "--save_video", "out/o.mp4", "--save_plot", "out/p.png", "--no-live"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for _ in range(4):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "frames read" in errors.splitlines()[-1] and "Traceback" not in errors
    times, size = picture_times(tmp_path / "out" / "o.mp4")
    assert len(times) >= 10 and times == sorted(times) and size == (192, 286)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["o.mp4", "p.png"]


def picture_times(path) -> tuple[list[int], tuple[int, int]]:
    """Milliseconds of every frame, and the size."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [round(1e3 * frame.time) for frame in frames], (frames[0].width, frames[0].height)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stream", "--save_video", "a.mp4"), "--save_video a.mp4 is the input; name another"),
        (("--save_plot", "o.png"), "--save_plot has no effect here: it belongs to --stream"),
    ],
)
def test_pictures_that_cannot_be(stream_bundle, tmp_path, options, message):  # noqa: F811
    before = write_video(tmp_path / "a.mp4", 6).read_bytes()
    done = run(
        "predict.py", "-i", "a.mp4", "--model_dir", stream_bundle.folder, "--use_gpu=False",
        *options, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: {message}" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_a_reader_that_has_enough_ends_it(stream_bundle, tmp_path):  # noqa: F811
    video = write_video(tmp_path / "a.mp4", 50)
    command = (
        f"{sys.executable} {ROOT}/tools/predict.py --stream -i {video} --use_gpu=False "
        f"--model_dir {stream_bundle.folder} | head -n 1"
    )
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr and "Broken pipe" not in done.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("99", "camera 99: there is no"),
        ("http://127.0.0.1:9/a.ts", "http://127.0.0.1:9/a.ts: cannot be read: Connection refused"),
    ],
)
def test_bad_input(stream_bundle, tmp_path, source, message):  # noqa: F811
    done = stream(stream_bundle, source, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr


def test_a_bundle_for_clips(exported, video, tmp_path):
    done = stream(exported, video, "--output", "s.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "was exported for whole clips, not for streams" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []  # nothing half-written


def test_a_list_is_gone_on_with_by_several_processes(exported, tmp_path):
    """A failure is in the output and the others go on; the second run has nothing to do twice."""
    (tmp_path / "videos").mkdir()
    for n in (1, 2):
        write_video(tmp_path / "videos" / f"v{n}.mp4", 6 + n)
    (tmp_path / "list.txt").write_text("videos/v1.mp4\nvideos/missing.mp4\nvideos/v2.mp4\n")
    options = ("--model_dir", exported.folder, "--output", "r.csv", "--use_gpu=False")
    done = run("predict.py", "-i", "list.txt", *options, "--workers", 2, cwd=tmp_path)
    assert done.returncode == 1 and "1 of 3 files could not be read" in done.stderr, done.stderr
    first = (tmp_path / "r.csv").read_bytes()
    assert first.count(b"\n") == 4 and done.stdout.count("Current video file: ") == 2
    (tmp_path / "r.csv").write_bytes(first[:-5])
    done = run("predict.py", "-i", "list.txt", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 files are in r.csv already" in done.stderr
    assert done.stdout.count("Current video file: ") == 1
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "file", "videos/v1.mp4", "videos/missing.mp4", "videos/v2.mp4",
    ]  # fmt: skip
