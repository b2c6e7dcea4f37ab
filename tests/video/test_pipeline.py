"""The pipeline as a whole: PaddleVideo's golden, its description, its errors."""

import copy
import pickle

import numpy as np
import pytest

from paddlevideo.loader import ClipLoader, build_dataset
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.video import Pipeline, Sample, for_video_files
from paddlevideo.video.decoders.pyav import PyAVSource
from video.conftest import description, numbers_of, write_frames, write_video

GOLDEN = {
    "decode": {"name": "VideoDecoder", "backend": "cv2"},
    "sample": {"name": "Sampler", "num_seg": 50, "seg_len": 1, "valid_mode": True},
    "transform": [
        {"Scale": {"short_size": 192}},
        {"CenterCrop": {"target_size": 172}},
        {"Image2Array": None},
    ],
}


@pytest.mark.parametrize("backend", ["cv2", "pyav"])
def test_golden(shared_dir, backend):
    file = shared_dir / "golden/paddlevideo/golden_example_avi_pipeline.npz"
    golden = np.load(file, allow_pickle=False)
    steps = {**GOLDEN, "decode": {"name": "VideoDecoder", "backend": backend}}
    path = str(shared_dir / "videos/clips/k400_archery.avi")
    sample = Pipeline(steps)(Sample(path, 5, np.random.default_rng(0), training=False))
    assert np.array_equal(sample.frame_indices["clip"], golden["indices"])
    assert sample.clip.dtype == np.uint8
    assert np.array_equal(sample.clip, golden["frames_u8"])
    assert (sample.num_frames, sample.frames) == (131, None)


def test_clip_shows_the_chosen_frames(tmp_path):
    path = write_video(tmp_path / "v.mp4", 16)
    clip = Pipeline(description()).load(path)
    assert clip.shape == (4, 3, 32, 32) and numbers_of(clip) == [2, 6, 10, 14]


def test_says_what_it_gives():
    view = Pipeline(description()).input
    assert (view.num_frames, view.output_layout) == (4, "TCHW")
    assert (view.output_dtype, view.output_size) == ("uint8", (32, 32))
    assert view.clip_shape() == (4, 3, 32, 32)
    steps = [{"Scale": {"short_size": 40}}, {"Image2Array": {"data_format": "cthw"}}]
    normalize = {"Normalization": {"mean": [0.5] * 3, "std": [1] * 3, "tensor_shape": [3, 1, 1, 1]}}
    view = Pipeline(description(transform=[*steps, normalize])).input
    assert (view.output_dtype, view.output_size) == ("float32", (None, None))
    assert view.clip_shape(unknown=50) == (3, 4, 50, 50)


def test_description_survives(tmp_path):
    given = description()
    before = copy.deepcopy(given)
    pipeline = Pipeline(given)
    assert given == before
    given["decode"]["name"] = "changed"
    assert pipeline.description == before
    path = write_video(tmp_path / "v.mp4", 9)
    again = pickle.loads(pickle.dumps(Pipeline(pipeline.description)))
    assert np.array_equal(again.load(path, seed=3), pipeline.load(path, seed=3))


def test_draws_come_from_the_samples_generator(tmp_path):
    path = write_video(tmp_path / "v.mp4", 20)
    pipeline = Pipeline(description(), training=True)
    clips = [pipeline.load(path, seed) for seed in (1, 1, 2)]
    assert np.array_equal(clips[0], clips[1]) and not np.array_equal(clips[0], clips[2])


def test_transform_takes_frames_that_are_here():
    frames = np.full((1, 50, 80, 3), 7, np.uint8)
    clip = Pipeline(description()).input.transform(frames)
    assert clip.shape == (1, 3, 32, 32) and (clip == 7).all()


def test_frame_folder_and_video_file_of_one_description(tmp_path):
    frames = description(decode={"name": "FrameDecoder"})
    folder = write_frames(tmp_path / "f", 16)
    video = write_video(tmp_path / "v.mp4", 16)
    for convert in (for_video_files, Pipeline.for_video_files):
        converted = convert(frames)
        assert converted["decode"] == {"name": "VideoDecoder", "backend": "cv2"}
    assert frames["decode"] == {"name": "FrameDecoder"}
    assert for_video_files(description()) == description()
    seeking = {"name": "VideoDecoder", "seek": "exact"}
    own = description(decode={**seeking, "index_folder": "of this machine"})
    assert for_video_files(own)["decode"] == seeking and "index_folder" in own["decode"]
    expected = [2, 6, 10, 14]
    assert numbers_of(Pipeline(frames).load(folder)) == expected
    assert numbers_of(Pipeline(converted).load(video)) == expected


def with_steps(*steps):
    return description(transform=list(steps))


ARRAY = {"Image2Array": None}
NORMALIZE = {"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], r"P: expected a mapping"),
        (description(mix={}), r'P\.mix: unknown key "mix"'),
        ({"decode": {"name": "VideoDecoder"}}, r'P: "sample" is missing'),
        (description(decode={"name": "VideoDecode"}), r'P\.decode.* did you mean "VideoDecoder"'),
        (
            description(decode={"name": "VideoDecoder", "num_seg": 3}),
            r'P\.decode: unknown argument "num_seg"',
        ),
        (description(decode={"name": "VideoDecoder", "backend": "x"}), r"P\.decode\.backend"),
        (description(sample={"name": "UniformSampler"}), r"P\.sample: missing argument num_frames"),
        (with_steps({"Scale": {"short_siz": 3}}), r"P\.transform\[0\]\.Scale: unknown.*short_size"),
        (with_steps("RandomFlip", "Scal"), r'P\.transform\[1\]\.Scal: unknown transform "Scal"'),
        (with_steps({"Scale": 192}), r"P\.transform\[0\]\.Scale: expected a mapping"),
        (with_steps({"Scale": None, "RandomFlip": None}), r"P\.transform\[0\]: expected one step"),
        (description(transform={"Scale": {}}), r"P\.transform: expected a list"),
        (with_steps(ARRAY, {"RandomFlip": None}), r"P\.transform\[1\]\.RandomFlip: takes a THWC"),
        (with_steps(NORMALIZE), r"P\.transform\[0\]\.Normalization: takes a TCHW"),
        (with_steps(ARRAY, NORMALIZE, NORMALIZE), r"must be the last"),
        (with_steps({"RandomFlip": {"p": -1}}), r"P\.transform\[0\]\.RandomFlip.*probability"),
    ],
)
def test_bad_descriptions(bad, message):
    with pytest.raises(ConfigError, match=message):
        Pipeline.check(bad, "P")


def test_a_step_that_does_not_fit_names_the_file(tmp_path):
    path = write_video(tmp_path / "small.mp4", 5)
    with pytest.raises(DataError, match=r"small\.mp4: frames are 64x48 pixels, smaller"):
        Pipeline(with_steps({"CenterCrop": {"target_size": 50}})).load(path)


# --- several views of one video


def view(num_frames, size):
    return {
        "sample": {"name": "UniformSampler", "num_frames": num_frames},
        "transform": [{"Scale": {"short_size": size}}, {"CenterCrop": {"target_size": size}}],
    }


def random_view(num_frames, size):
    steps = view(num_frames, size)
    return {**steps, "transform": [{"RandomResizedCrop": {"target_size": size}}, "RandomFlip"]}


def views(**nodes):
    return {"decode": {"name": "VideoDecoder"}, "views": nodes}  # the older word


def test_views_are_inputs():
    """Older files and bundles say "views"."""
    older = views(a=view(4, 32), b=view(8, 24))
    newer = {"inputs" if key == "views" else key: node for key, node in older.items()}
    assert list(Pipeline(older).inputs) == list(Pipeline(newer).inputs) == ["clip_a", "clip_b"]
    assert Pipeline(older).description == older and Pipeline(newer).description == newer
    with pytest.raises(ConfigError, match=r"^P\.views: stands beside inputs"):
        Pipeline({**older, **newer}, "P")


@pytest.mark.parametrize("name", ["VideoDecoder", "FrameDecoder"])
def test_views_are_what_each_alone_would_be(tmp_path, name):
    write = write_frames if name == "FrameDecoder" else write_video
    path = write(tmp_path / "v.mp4", 16)
    nodes = {"a": view(4, 32), "b": view(8, 24)}
    decode = {"decode": {"name": name}}
    clips = Pipeline({**views(**nodes), **decode}).load_clips(path)
    assert list(clips) == ["clip_a", "clip_b"]
    for key, node in nodes.items():
        assert np.array_equal(clips[f"clip_{key}"], Pipeline({**node, **decode}).load(path))


def test_the_video_is_read_once(tmp_path, monkeypatch):
    """Each different frame once, for all views together."""
    path, asked = write_video(tmp_path / "v.mp4", 16), []
    decode = PyAVSource._decode
    monkeypatch.setattr(
        PyAVSource, "_decode", lambda self, wanted: asked.append(wanted) or decode(self, wanted)
    )
    sample = Pipeline(views(a=view(8, 32), b=view(4, 24), c=view(8, 16)))(
        Sample(str(path), 0, np.random.default_rng(0), training=False)
    )
    assert len(asked) == 1
    assert asked[0].tolist() == sorted({i for f in sample.frame_indices.values() for i in f})
    assert sample.clip is None and set(sample.clips) == {"clip_a", "clip_b", "clip_c"}


def test_a_view_draws_for_itself(tmp_path):
    """What one view draws does not depend on what stands before it; views differ."""
    path = write_video(tmp_path / "v.mp4", 20, width=200, height=150)
    plain, other = (
        Pipeline(views(a=first, b=random_view(4, 32)), training=True)
        for first in (random_view(4, 32), view(3, 16))
    )
    for seed in (0, 1):
        clips = plain.load_clips(path, seed)
        assert np.array_equal(clips["clip_b"], other.load_clips(path, seed)["clip_b"])
        assert not np.array_equal(clips["clip_a"], clips["clip_b"])


def test_a_clip_of_several_views_is_refused(tmp_path):
    pipeline = Pipeline(views(a=view(4, 32), b=view(4, 24)), "P")
    with pytest.raises(ConfigError, match="P: gives clip_a, clip_b, where a single clip is wanted"):
        pipeline.load(tmp_path / "not read")


def test_views_in_batches(video_dir, video_list):
    node = {"format": "VideoDataset", "file_path": str(video_list), "data_prefix": str(video_dir)}
    description = views(a=random_view(4, 32), b=random_view(8, 24))
    dataset = build_dataset(node, description, training=True, seed=3)
    loaders = [ClipLoader(dataset, 3, training=True, seed=3, num_workers=n) for n in (0, 2)]
    for one, two in zip(*(loader.epoch(0) for loader in loaders), strict=True):
        facts = {"label", "index", "readable", "replaced", "frames_read", "frames_lost"}
        assert set(one) == {"clip_a", "clip_b", *facts}
        assert one["clip_a"].shape == [3, 4, 32, 32, 3]
        assert one["clip_b"].shape == [3, 8, 24, 24, 3]
        assert all(np.array_equal(one[name].numpy(), two[name].numpy()) for name in one)


def test_an_unreadable_video_has_no_view(video_dir, tmp_path):
    (tmp_path / "bad.list").write_text(f"none.mp4 0\n{video_dir}/v0.mp4 1\n")
    node = {"format": "VideoDataset", "file_path": str(tmp_path / "bad.list")}
    dataset = build_dataset(node, views(a=view(4, 32), b=view(8, 24)), training=False)
    loader = ClipLoader(dataset, 2, training=False, on_unreadable="count_wrong")
    (batch,) = loader.epoch(0)
    assert batch["readable"].tolist() == [False, True]
    for name in ("clip_a", "clip_b"):
        assert not batch[name][0].numpy().any() and batch[name][1].numpy().any()


def test_the_rate_of_the_file_reaches_the_sampler(tmp_path):
    """These videos have 25 frames a second."""
    path = write_video(tmp_path / "v.mp4", 24)
    sample = {"name": "StridedSampler", "num_frames": 4, "stride": 1}
    in_frames, in_time = (
        Pipeline(description(sample={**sample, **more})) for more in ({}, {"stride_fps": 5})
    )
    assert numbers_of(in_frames.load(path)) == [10, 11, 12, 13]
    assert numbers_of(in_time.load(path)) == [0, 5, 10, 15]
    folder = write_frames(tmp_path / "f", 24)
    pipeline = Pipeline({**in_time.description, "decode": {"name": "FrameDecoder"}})
    with pytest.raises(DataError, match=r"/f: its frames have no times.*without stride_fps"):
        pipeline.load(folder)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (views(), r"P\.views: expected a mapping of inputs"),
        (views(a=3), r"P\.views\.a: expected a mapping of sample, transform, got 3"),
        (views(a={}), r'P\.views\.a: "sample" is missing'),
        (views(a={**view(4, 8), "decode": {}}), r'P\.views\.a\.decode: unknown key "decode"'),
        (views(**{"a.b": view(4, 8)}), r"P\.views: an input's name is letters, digits and"),
        ({**views(a=view(4, 8)), "transform": []}, r"P\.transform: stands beside views"),
        ({"views": {"a": view(4, 8)}}, r'P: "decode" is missing'),
        (
            views(a={**view(4, 8), "transform": [{"Scale": {"short_siz": 3}}]}),
            r"P\.views\.a\.transform\[0\]\.Scale: unknown argument",
        ),
    ],
)
def test_bad_views(bad, message):
    with pytest.raises(ConfigError, match=message):
        Pipeline.check(bad, "P")
