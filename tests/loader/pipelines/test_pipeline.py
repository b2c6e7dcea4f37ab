"""The pipeline as a whole: PaddleVideo's golden, its description, its errors."""

import copy
import pickle

import numpy as np
import pytest

from loader.conftest import description, numbers_of, write_frames, write_video
from paddlevideo.loader import Pipeline, Sample, for_video_files
from paddlevideo.utils.errors import ConfigError, DataError

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
    view = Pipeline(description()).view
    assert (view.num_frames, view.output_layout) == (4, "TCHW")
    assert (view.output_dtype, view.output_size) == ("uint8", (32, 32))
    assert view.clip_shape() == (4, 3, 32, 32)
    steps = [{"Scale": {"short_size": 40}}, {"Image2Array": {"data_format": "cthw"}}]
    normalize = {"Normalization": {"mean": [0.5] * 3, "std": [1] * 3, "tensor_shape": [3, 1, 1, 1]}}
    view = Pipeline(description(transform=[*steps, normalize])).view
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
    clip = Pipeline(description()).view.transform(frames)
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
