"""Reading by an index gives the frames of decoding from the beginning, or does not happen."""

import os
import resource
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.video import Pipeline, Sample
from paddlevideo.video.decoders import PyAVSource
from paddlevideo.video.decoders.approximate import open_approximate
from paddlevideo.video.decoders.packet_index import IndexCache
from paddlevideo.video.decoders.seeking import IndexedSource, open_exact
from video.conftest import description

CLIPS = [
    *("k400_archery.avi", "golfdb_swing.mp4", "asl_eat.mkv", "odd_66x50_60fps.mov"),
    *("odd_unordered_50x50.mov", "odd_hevc_128x128.mp4", "odd_rot90_3frames.mov"),
    *("ucf101_ApplyEyeMakeup_g01_c01.avi", "odd_vp9_alpha.webm"),
    *("ucf11_biking_01_01.mpg", "odd_truncated.mp4", "ssv2_166766.mp4"),
]
CASES = [
    *("timing/jit1.webm", "timing/live.webm", "timing/screen.mp4", "damaged/vp8_noise.webm"),
    *("damaged/mjpeg_zero.avi", "damaged/mjpeg_noise0.avi", "damaged/mpeg4_zero.avi"),
    "damaged/mpeg4_ok.avi",
]


def write_h264(path, num_frames, options, size=(96, 64)):
    """Moving noise, as H.264; frames 1/25 s apart."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (size[1], size[0] + 2 * num_frames, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = options
        for number in range(num_frames):
            image = np.ascontiguousarray(picture[:, 2 * number : 2 * number + size[0]])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def check_same(path, tries=3):
    """Times and frames of the index are those of decoding everything."""
    with PyAVSource(path) as whole:
        cache = IndexCache()
        rng = np.random.default_rng(1)
        for number in range(tries):
            count = (1, 3, 8)[number % 3]
            wanted = rng.integers(0, whole.num_frames, count)
            with open_exact(path, cache) as source:
                assert source.num_frames == whole.num_frames
                assert np.array_equal(source.times_seconds, whole.times_seconds)
                assert np.array_equal(source.read(wanted), whole.read(wanted))
                kind = type(source)
    return kind


@pytest.mark.parametrize("name", CLIPS)
def test_real_videos(shared_dir, name):
    check_same(str(shared_dir / "videos/clips" / name))


@pytest.mark.parametrize("name", CASES)
def test_odd_and_damaged_videos(shared_dir, name):
    kind = check_same(str(shared_dir / "cases" / name))
    assert kind is PyAVSource or "ok" in name or "screen" in name


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize(
    "x264", ["keyint=12:open-gop=1:bframes=3:b-pyramid=normal", "keyint=10:bframes=0", "keyint=250"]
)
def test_groups_of_pictures(tmp_path, ending, x264):
    path = write_h264(tmp_path / f"v.{ending}", 60, {"x264-params": f"{x264}:scenecut=0"})
    assert check_same(path, tries=9) is IndexedSource


def damaged_copy(path, target, first, count):
    """The file with the packets ``first`` ... overwritten in their middle."""
    shutil.copy(path, target)
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    with open(target, "r+b") as file:  # noqa: PTH123 - bytes in the middle of a file
        for packet in packets[first : first + count]:
            file.seek(packet.pos)
            file.write(os.urandom(4) + b"\xff" * (packet.size - 4))
    return str(target)


@pytest.mark.parametrize("seek", ["exact", "none"])
def test_damage_is_found_and_the_choice_made_anew(tmp_path, seek, caplog):
    path = write_h264(tmp_path / "v.mp4", 40, {"x264-params": "keyint=10:scenecut=0"})
    bad = damaged_copy(path, tmp_path / "bad.mp4", 12, 3)
    samples = []
    for way in (seek, "none"):
        node = description(decode={"name": "VideoDecoder", "seek": way})
        sample = Sample(bad, 0, generator(3, Stream.SAMPLE, 0, 0), training=True)
        samples.append(Pipeline(node, training=True)(sample))
    one, other = samples
    assert (one.num_frames, one.frames_lost) == (other.num_frames, other.frames_lost)
    assert np.array_equal(one.clip, other.clip)


def test_an_index_that_is_wrong_is_given_up(tmp_path):
    """One that was kept beside a file whose content changed without its size and time."""
    path = write_h264(tmp_path / "v.mp4", 30, {"x264-params": "keyint=10:bframes=0"})
    node = description(decode={"name": "VideoDecoder", "seek": "exact"})
    pipeline = Pipeline(node, training=True)
    _, index = False, None
    cache = pipeline.decoder._indexes
    with open_exact(path, cache):
        pass
    _, index = cache.get(path)
    wrong = type(index)(
        np.append(index.times_seconds, 9.0), np.append(index.pts, index.pts[-1] + 1),
        np.append(index.decode_pts, index.pts[-1] + 1), index.keys, index.rate,
    )  # fmt: skip
    cache.put(path, wrong)
    clips = []
    for each in (pipeline, Pipeline(description(), training=True)):
        for seed in range(6):  # some of them want the frame that does not exist
            clips.append(each.load(path, seed))
    if cache.get(path) == (True, None):
        assert np.array_equal(clips[5], clips[11])


class TestIndexCache:
    def test_a_file_that_changed_is_read_anew(self, tmp_path):
        path = write_h264(tmp_path / "v.mp4", 20, {})
        cache = IndexCache()
        assert open_exact(path, cache).num_frames == 20
        write_h264(tmp_path / "v.mp4", 30, {})
        assert open_exact(path, cache).num_frames == 30

    def test_a_folder_keeps_it(self, tmp_path, monkeypatch):
        path = write_h264(tmp_path / "v.mp4", 20, {})
        folder = tmp_path / "indexes"
        open_exact(path, IndexCache(str(folder))).close()
        assert len(list(folder.glob("*.npz"))) == 1
        module = "paddlevideo.video.decoders.seeking.read_packets"
        monkeypatch.setattr(module, lambda *_: pytest.fail("the packets are read again"))
        with open_exact(path, IndexCache(str(folder))) as source:
            assert source.num_frames == 20
            assert source.read([19]).shape == (1, 64, 96, 3)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY"])
    def test_a_damaged_one_is_made_anew(self, tmp_path, content):
        path = write_h264(tmp_path / "v.mp4", 20, {})
        folder = tmp_path / "indexes"
        open_exact(path, IndexCache(str(folder))).close()
        (file,) = folder.glob("*.npz")
        file.write_bytes(content)
        assert open_exact(path, IndexCache(str(folder))).num_frames == 20

    def test_memory_is_bounded(self, tmp_path):
        cache = IndexCache(most_frames=160)
        paths = [write_h264(tmp_path / f"{i}.mp4", 20, {}) for i in range(5)]
        for path in paths:
            open_exact(path, cache).close()
        assert [cache.get(path)[0] for path in paths] == [False, False, True, True, True]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_approximate_is_exact_at_a_constant_rate(tmp_path, ending):
    path = write_h264(tmp_path / f"v.{ending}", 80, {"x264-params": "keyint=10:scenecut=0"})
    with PyAVSource(path) as whole, open_approximate(path) as source:
        assert source.num_frames == 80
        for wanted in ([0], [40, 41, 42], [79, 5, 60]):
            assert np.array_equal(source.read(wanted), whole.read(wanted))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backend": "cv2", "seek": "exact"}, "seek: exact is for backend pyav"),
        ({"index_folder": "x"}, "index_folder is for seek: exact"),
        ({"seek": "fast"}, "seek"),
    ],
)
def test_what_would_do_nothing_is_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        Pipeline(description(decode={"name": "VideoDecoder", **arguments}))


@pytest.mark.slow
def test_memory_stays_flat_over_ten_thousand_clips(tmp_path):
    """`pytest -m slow -s tests/video/decoders/test_seeking.py`: a minute."""
    node = description(decode={"name": "VideoDecoder", "seek": "exact"}, resize="fast")
    pipeline = Pipeline(node, training=True)
    paths = [
        write_h264(tmp_path / f"{i}.mp4", 12 + i, {}, size=(96 + 16 * i, 64 + 8 * i))
        for i in range(6)
    ]
    resident = []
    for number in range(10_000):
        pipeline.load(paths[number % len(paths)], seed=number)
        if number in (1_000, 9_999):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident.append(pages * resource.getpagesize() / 2**20)
    print(f"resident: {resident[0]:.1f} MB after 1,000 clips, {resident[1]:.1f} MB after 10,000")
    assert resident[1] - resident[0] < 8
