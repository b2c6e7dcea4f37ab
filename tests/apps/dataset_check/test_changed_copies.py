"""Copies that people make of a video are found across splits; other videos are not taken for them.

The same on real videos, and more kinds: the table in docs/check_data.md.
"""

import json
import shutil

import av
import cv2
import numpy as np
import pytest

from apps.own_videos.footage import footage, write
from paddlevideo.apps.own_videos.file_scan import Fingerprint, scan_file
from paddlevideo.apps.own_videos.footage import Kind, Pictures
from paddlevideo.cli.main import main


def with_patch(frames, top, left, height, width, value):
    changed = frames.copy()
    changed[:, top : top + height, left : left + width] = value
    return changed


def cropped(frames, share):
    rows, columns = (round(side * share / 2) for side in frames.shape[1:3])
    inner = frames[:, rows:-rows, columns:-columns]
    return np.stack([cv2.resize(image, (160, 120)) for image in inner])


def by_table(frames, curve):
    table = np.clip(curve(np.arange(256) / 255) * 255, 0, 255).astype(np.uint8)
    return table[frames]


SAME, MIRRORED, CHANGED = Kind.FRAMES, Kind.MIRRORED, Kind.CHANGED
# Name -> what is written instead of the frames, how, and as what it is found.
COPIES = {
    "encoded": (lambda f: f, {"bit_rate": 150_000}, SAME),
    "smaller": (lambda f: f, {"scale": 0.5}, SAME),
    "slower": (lambda f: f[::2], {"rate": 12.5}, SAME),
    "trimmed": (lambda f: f[5:], {}, SAME),
    "brighter": (lambda f: by_table(f, lambda x: 0.8 * x + 0.15), {}, SAME),
    "mirrored": (lambda f: f[:, :, ::-1], {}, MIRRORED),
    "dark": (lambda f: by_table(f, lambda x: x**2.5), {}, CHANGED),
    "logo": (lambda f: with_patch(f, 6, 120, 22, 32, 255), {}, CHANGED),
    "subtitle": (lambda f: with_patch(f, 104, 30, 10, 100, 255), {}, CHANGED),
    "mirrored_logo": (lambda f: with_patch(f[:, :, ::-1], 6, 120, 22, 32, 255), {}, CHANGED),
    "cropped": (lambda f: cropped(f, 0.04), {}, CHANGED),
}


def remuxed(source, target):
    """The packets of a file in another container."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Splits of a class folder each; val holds a copy of each kind, each of another video."""
    root = tmp_path_factory.mktemp("copies")
    for number, (name, (change, how, _)) in enumerate(COPIES.items()):
        frames = footage(50 + number, 60)
        write(root / "train" / "a" / f"{name}.mp4", frames)
        write(root / "val" / "a" / f"{name}_copy.mp4", change(frames), **how)
    original = write(root / "train" / "a" / "film.avi", footage(90, 60))
    remuxed(original, root / "val" / "a" / "film.mkv")
    shutil.copy(original, root / "val" / "a" / "renamed.avi")
    write(root / "train" / "b" / "other label.mp4", footage(90, 60), scale=0.75)
    for number in range(4):  # takes of one scene
        where = root / ("train", "val")[number % 2] / "b"
        write(where / f"take{number}.mp4", footage(number, 60, background=7))
    return root


@pytest.fixture(scope="module")
def findings(folder, tmp_path_factory):
    found = tmp_path_factory.mktemp("found") / "found.json"
    main(["check-data", str(folder), "--json", str(found), "--fix", str(found.parent / "c.list")])
    return json.loads(found.read_text())["findings"], found.parent


def name_of(path):
    return (path or "").rpartition("/")[2]


def test_every_copy_is_found_and_nothing_else(findings):
    about_two = [each for each in findings[0] if each["other"]]
    found = {(f["kind"], *sorted((name_of(f["path"]), name_of(f["other"])))) for f in about_two}
    expected = {("near_across", f"{name}.mp4", f"{name}_copy.mp4") for name in COPIES}
    assert found == expected | {
        ("near_across", "film.avi", "film.mkv"),
        ("identical_across", "film.avi", "renamed.avi"),
        ("near", "film.avi", "other label.mp4"),
        ("near_across", "film.mkv", "other label.mp4"),
        ("two_labels", "film.avi", "other label.mp4"),
        ("two_labels", "film.mkv", "other label.mp4"),
    }


def test_the_words_say_how_they_are_alike(findings):
    for name, (_, _, kind) in COPIES.items():
        (text,) = (
            each["text"]
            for each in findings[0]
            if each["kind"] == "near_across" and f"{name}.mp4" in map(name_of, pair(each))
        )
        assert text == kind.value, name


def pair(finding):
    return finding["path"], finding["other"]


def test_cleaned_lists(findings):
    """Copies byte for byte and what has two labels are left out; the same footage stays."""
    train, val = (
        [name_of(line).rsplit(" ", 1)[0] for line in path.read_text().splitlines()]
        for path in (findings[1] / "c_train.list", findings[1] / "c_val.list")
    )
    assert {f"{name}.mp4" for name in COPIES} <= set(train)
    assert {f"{name}_copy.mp4" for name in COPIES} <= set(val)
    assert not {"film.avi", "renamed.avi", "film.mkv", "other label.mp4"} & {*train, *val}


def prints_of(frames, path):
    return scan_file(write(path, frames))


def test_little_movement_and_light_that_fades_say_nothing(tmp_path):
    """A lamp that fades, alike in every room, and a nod in a scene that stands still."""
    rooms = [footage(n, 1)[:1] for n in (1, 2)]
    light = np.linspace(0.4, 1, 40).reshape(-1, 1, 1, 1)
    scans = [prints_of((room * light).astype(np.uint8), tmp_path / f"{n}.mp4")
             for n, room in enumerate(rooms)]  # fmt: skip
    nods = [np.concatenate([np.repeat(footage(3, 1), 30, axis=0), footage(n, 6, background=3)])
            for n in (3, 4)]  # fmt: skip
    scans += [prints_of(nod, tmp_path / f"nod{n}.mp4") for n, nod in enumerate(nods)]
    assert not [match for match in Pictures(scans).matches() if match.kind is Kind.CHANGED]


def test_fingerprints_of_a_few_frames_are_not_compared_by_movement():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 16, 16)).astype(np.uint8)
    prints = Fingerprint(pictures, np.arange(5) / 25, pictures[:2], pictures[-2:])
    from paddlevideo.apps.own_videos.movement import Movements

    assert list(Movements([prints, prints], 1).matches(False)) == []
