"""The built-in data set: what it shows, what it writes, and that it is written once."""

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import av
import motion_clips
import numpy as np
import pytest
from generate import main
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_clips import ATTRIBUTES, MOTIONS, OPPOSITES, attribute_phases, draw_clip
from motion_dataset import MotionParameters, draw_task, encode_video, generate_dataset, plan

from paddlevideo.utils.errors import DataError

SMALL = MotionParameters(train=24, val=16, seed=3, size=48, frames=10, fps=6)
SCRIPT = Path(__file__).resolve().parents[2] / "data" / "motion" / "generate.py"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small data set, written by one process."""
    output = tmp_path_factory.mktemp("motion") / "videos"
    generate_dataset(output, SMALL, workers=1)
    return output


def digests(output):
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.rglob("*")
        if path.is_file()
    }


def arguments_of(output, parameters=SMALL, **changes):
    values = {**vars(parameters), "output": output, "workers": 1, **changes}
    return [text for key, value in values.items() for text in (f"--{key}", str(value))]


# What a clip shows.


@pytest.mark.parametrize("motion", MOTIONS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_frames=st.integers(8, 12))
def test_opposite_motions_are_time_reversals(motion, seed, num_frames):
    clip = draw_clip(motion, seed, num_frames, size=32)
    opposite = draw_clip(OPPOSITES[motion], seed, num_frames, size=32)
    np.testing.assert_array_equal(clip, opposite[::-1])


@pytest.mark.parametrize("seed", range(4))
def test_the_middle_frame_is_the_same_in_all_classes(seed):
    clips = [draw_clip(motion, seed, num_frames=9, size=48) for motion in MOTIONS]
    for clip in clips[1:]:
        np.testing.assert_array_equal(clip[4], clips[0][4])
        assert (clip[0] != clips[0][0]).any()


def test_a_clip_has_the_size_asked_for_and_depends_on_the_seed():
    clip = draw_clip("left", (1, 2), num_frames=8, size=40)
    assert clip.shape == (8, 40, 40, 3)
    assert clip.dtype == np.uint8
    assert (clip == draw_clip("left", (1, 2), num_frames=8, size=40)).all()
    assert (clip != draw_clip("left", (1, 3), num_frames=8, size=40)).any()


# Kolmogorov-Smirnov distance and size of a mean phasor, times the root of the sample size. Each is
# the value that true uniformity exceeds once in a thousand in ALL the comparisons made below (8
# motions x 24 frames x 4 attributes; 8 x 3 x 24), from the limit laws 2 exp(-2 d^2) and exp(-d^2).
KS_LIMIT = np.sqrt(np.log(2 * 768 * 1000) / 2)
PHASOR_LIMIT = np.sqrt(np.log(576 * 1000))


def phases_of_many(motion, num_clips=1500, num_frames=24):
    """float64 [clips, T, A], the first shape of each clip."""
    return np.stack(
        [attribute_phases(motion, (7, seed), num_frames)[0] for seed in range(num_clips)]
    )


@pytest.mark.parametrize("motion", MOTIONS)
def test_no_single_frame_tells_the_class(motion):
    """At each frame each attribute is uniform on 0 to 1, and no two of them are correlated."""
    phases = phases_of_many(motion)
    num_clips, num_frames, _ = phases.shape
    empirical = np.sort(phases, axis=0)
    uniform = (np.arange(num_clips) + 0.5)[:, None, None] / num_clips
    assert np.abs(empirical - uniform).max() < KS_LIMIT / np.sqrt(num_clips)
    for frame in (0, num_frames // 2, num_frames - 1):
        circle = np.exp(2j * np.pi * phases[:, frame])
        off_diagonal = ~np.eye(len(ATTRIBUTES), dtype=bool)
        for product in (circle.T @ circle, circle.T @ circle.conj()):
            assert np.abs(product / num_clips)[off_diagonal].max() < PHASOR_LIMIT / np.sqrt(
                num_clips
            )


def test_the_uniformity_test_would_notice_a_growing_shape_that_ends_large():
    phases = phases_of_many("growing")[:, :, ATTRIBUTES.index("size")]
    without_wrap = np.clip(phases[:, :1] + np.linspace(0, 0.5, phases.shape[1]), 0, 1)
    uniform = (np.arange(len(phases)) + 0.5) / len(phases)
    distance = np.abs(np.sort(without_wrap[:, -1]) - uniform).max()
    assert distance > 5 * KS_LIMIT / np.sqrt(len(phases))


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_drift_between_eight_frames_tells_the_class(motion):
    attribute, direction = MOTIONS[motion]
    phases = phases_of_many(motion, num_clips=200)[:, 1::3]
    steps = np.mod(np.diff(phases, axis=1) + 0.5, 1) - 0.5
    drifting = ATTRIBUTES.index(attribute)
    assert (np.delete(steps, drifting, axis=2) == 0).all()
    assert (direction * steps[:, :, drifting] > 0.035).all()
    assert (direction * steps[:, :, drifting] < 0.17).all()


@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("left", 2, -1), ("right", 2, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_pixels_move_the_way_the_name_says(motion, axis, sign):
    """The best circular shift between neighbouring frames has the sign of the motion."""
    votes = 0
    for seed in range(8):
        clip = draw_clip(motion, seed, num_frames=16, size=48).astype(np.float32)
        shape = np.abs(clip - np.median(clip, axis=0)).sum(axis=3)
        errors = {
            shift: np.square(np.roll(shape, shift, axis)[:-1] - shape[1:]).sum()
            for shift in range(-6, 7)
        }
        votes += int(np.sign(min(errors, key=errors.get))) == sign
    assert votes >= 7


@pytest.fixture
def one_shape(monkeypatch):
    """Clips with a single, large shape, whose outline can be measured."""
    monkeypatch.setattr(motion_clips, "NUM_SHAPES", (1, 1))
    monkeypatch.setattr(motion_clips, "RADIUS_RANGE", (0.12, 0.4))


def masks_of_one_shape(motion, seed, size=64):
    """bool [T, H, W]: where the shape is, moved to the middle."""
    phases = attribute_phases(motion, seed, 24)
    clip = draw_clip(motion, seed, 24, size).astype(np.float32)
    backdrop = motion_clips._background(motion_clips._generators(seed)[1], size)
    masks = np.abs(clip - backdrop).sum(axis=3) > 40
    shift_x, shift_y = np.rint((0.5 - phases[0, 0, :2]) * size).astype(int)
    return np.roll(masks, (shift_y, shift_x), axis=(1, 2))


def heavy_side(mask):
    """Angle of the third moment of a mask, which turns with it; y points down, as on a screen."""
    rows, columns = np.nonzero(mask)
    x, y = columns - columns.mean(), rows - rows.mean()
    squared = x * x + y * y
    return np.arctan2((y * squared).sum(), (x * squared).sum())


@pytest.mark.parametrize(("motion", "sign"), [("clockwise", 1), ("counter_clockwise", -1)])
def test_shapes_turn_the_way_the_name_says(one_shape, motion, sign):
    clips = [masks_of_one_shape(motion, seed) for seed in range(12)]
    turns = [np.median(np.sin(np.diff([heavy_side(mask) for mask in clip]))) for clip in clips]
    assert np.mean(np.sign(turns) == sign) > 0.85


@pytest.mark.parametrize(("motion", "sign"), [("growing", 1), ("shrinking", -1)])
def test_areas_change_the_way_the_name_says(one_shape, motion, sign):
    """From frame to frame, but for the jump from one end of the range to the other."""
    for clip in (masks_of_one_shape(motion, seed) for seed in range(12)):
        assert np.mean(sign * np.diff(clip.sum(axis=(1, 2))) > 0) > 0.75


# What is written.


def test_videos_open_with_the_frames_size_and_rate_asked_for(small):
    formats = Counter()
    for task in plan(SMALL):
        with av.open(str(small / task.path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == SMALL.fps
            assert stream.codec_context.pix_fmt == "yuv420p"
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        formats[Path(task.path).suffix, stream.codec_context.name] += 1
        assert np.stack(frames).shape == (SMALL.frames, SMALL.size, SMALL.size, 3)
        error = np.stack(frames).astype(float) - draw_task(SMALL, task)
        assert np.sqrt(np.square(error).mean()) < 16  # colour is kept at half the resolution
    assert formats == {(".mp4", "h264"): 35, (".avi", "mpeg4"): 5}


def test_lists_and_classes(small):
    classes = (small / "classes.txt").read_text().splitlines()
    assert classes == list(MOTIONS)
    for split, count in (("train", SMALL.train), ("val", SMALL.val)):
        rows = [line.split(" ") for line in (small / f"{split}.list").read_text().splitlines()]
        assert len(rows) == count
        assert set(Counter(label for _, label in rows).values()) == {count // len(MOTIONS)}
        for path, label in rows:
            assert path.startswith(f"{split}/{classes[int(label)]}_")
            assert (small / path).is_file()
    assert len(list(small.glob("*/*"))) == SMALL.train + SMALL.val


def test_the_format_does_not_tell_the_class():
    tasks = plan(MotionParameters(train=64, val=64))
    per_class = Counter(task.motion for task in tasks if task.path.endswith(".avi"))
    assert per_class == dict.fromkeys(MOTIONS, 2)


def test_splits_and_seeds_share_no_video():
    parameters = [MotionParameters(train=8, val=8, seed=seed, size=32, frames=8) for seed in (0, 1)]
    clips = {draw_task(p, task).tobytes() for p in parameters for task in plan(p)}
    assert len(clips) == 32


def test_two_workers_write_the_same_bytes_as_one(small, tmp_path):
    generate_dataset(tmp_path / "videos", SMALL, workers=2)
    assert digests(tmp_path / "videos") == digests(small)


def test_the_script_runs_from_anywhere(tmp_path):
    command = [sys.executable, str(SCRIPT), *arguments_of("out", train=8, val=8, workers=2)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("out: wrote 16 of 16 videos in ")
    assert len(run.stdout.splitlines()) == 1
    assert run.stderr == ""


# Written once.


def test_a_second_run_does_nothing(small, capsys):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    assert main(arguments_of(small)) == 0
    assert "already there: 40 videos" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_other_parameters_are_refused_unless_forced(tmp_path, capsys):
    first = MotionParameters(train=24, val=8, size=32, frames=8)
    second = MotionParameters(train=16, val=8, size=32, frames=8, seed=5)
    assert main(arguments_of(tmp_path, first)) == 0
    (tmp_path / "train" / "mine.txt").write_text("keep")
    before = digests(tmp_path)
    assert main(arguments_of(tmp_path, second)) == 1
    message = capsys.readouterr().err
    assert "train 24 instead of 16, seed 0 instead of 5" in message
    assert "--force" in message
    assert digests(tmp_path) == before
    assert main([*arguments_of(tmp_path, second), "--force"]) == 0
    assert len(list(tmp_path.glob("train/*_*"))) == second.train
    assert (tmp_path / "train" / "mine.txt").read_text() == "keep"


def test_an_interrupted_run_is_completed(small, tmp_path, monkeypatch):
    output = tmp_path / "videos"
    count = 0

    def interrupt(path, clip_THWC, fps):
        nonlocal count
        count += 1
        if count > 7:
            raise KeyboardInterrupt
        encode_video(path, clip_THWC, fps)

    with monkeypatch.context() as patch:
        patch.setattr("motion_dataset.encode_video", interrupt)
        assert main(arguments_of(output)) == 130
    assert not (output / "manifest.json").exists()
    assert len(list(output.glob("train/*"))) == 7
    (output / "train" / ".left_00000.avi.x.tmp").write_bytes(b"of a killed run")
    with pytest.raises(DataError, match="other parameters"):
        generate_dataset(output, MotionParameters(), workers=1)
    assert generate_dataset(output, SMALL, workers=1).written == 33
    assert digests(output) == digests(small)


def test_lost_and_damaged_videos_are_written_again(small, tmp_path):
    output = tmp_path / "videos"
    generate_dataset(output, SMALL, workers=1)
    tasks = plan(SMALL)
    (output / tasks[0].path).unlink()
    (output / tasks[9].path).write_bytes(b"short")
    (output / "val.list").unlink()
    assert generate_dataset(output, SMALL, workers=1).written == 2
    assert digests(output) == digests(small)


# Mistakes.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": 0}, "train is 0: must be 8 to"),
        ({"val": -1}, "val is -1: must be 8 to"),
        ({"size": 65}, "size is 65: must be even"),
        ({"size": 8}, "size is 8: must be 32 to"),
        ({"frames": 1}, "frames is 1: must be 8 to"),
        ({"fps": 0}, "fps is 0: must be 1 to"),
        ({"seed": -1}, "seed is -1: must be 0 to"),
        ({"workers": 0}, "workers is 0: must be 1 or more"),
    ],
)
def test_bad_values_are_told(changes, message, tmp_path, capsys):
    assert main(arguments_of(tmp_path / "out", **changes)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_not_ours_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(arguments_of(tmp_path / "notes.txt")) == 1
    assert "is a file" in capsys.readouterr().err
    assert main([*arguments_of(tmp_path), "--force"]) == 1
    assert "is not empty and holds no motion data set" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"parameters": 1})])
def test_a_manifest_that_is_not_ours_is_refused(content, tmp_path, capsys):
    (tmp_path / "manifest.json").write_text(content)
    assert main(arguments_of(tmp_path)) == 1
    assert "manifest.json" in capsys.readouterr().err
