"""Contact sheets show what training draws, behind each step."""

import numpy as np
import pytest
from PIL import Image

from apps.own_videos.footage import footage, write
from paddlevideo.apps.browse.stages import as_pictures, stages_of
from paddlevideo.cli.main import main
from paddlevideo.loader import build_dataset

STEPS = [
    {"Scale": {"short_size": 48}},
    {"RandomCrop": {"target_size": 32}},
    {"RandomFlip": None},
    {"RandomErasing": {"p": 1.0, "area": [0.1, 0.2]}},
    {"Image2Array": None},
]
PIPELINE = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "UniformSampler", "num_frames": 4},
    "transform": STEPS,
}


@pytest.fixture
def listed(tmp_path):
    for number in range(4):
        write(tmp_path / f"{number}.mp4", footage(number, 12))
    lines = (f"{tmp_path / f'{number}.mp4'} {number % 2}\n" for number in range(4))
    (tmp_path / "t.list").write_text("".join(lines))
    return tmp_path / "t.list"


def test_the_last_stage_is_what_training_reads(listed):
    node = {"format": "VideoDataset", "file_path": str(listed)}
    dataset = build_dataset(node, PIPELINE, training=True, seed=5)
    (stages,) = stages_of(dataset, 3, 1)
    names = [stage.step for stage in stages]
    assert names == ["UniformSampler", *(next(iter(step)) for step in STEPS)]
    expected = dataset[3, 1]
    np.testing.assert_array_equal(stages[-1].clip_THWC.transpose(0, 3, 1, 2), expected.clip)
    assert stages[-1].path == expected.path and stages[0].clip_THWC.shape == (4, 120, 160, 3)
    assert stages[2].title == "RandomCrop  4 x 32 x 32 uint8"
    flipped = stages[3].clip_THWC
    same = [np.array_equal(flipped, clip) for clip in _both_ways(stages[2].clip_THWC)]
    assert any(same)  # the crop is the one that was flipped


def _both_ways(clip_THWC):
    return clip_THWC, clip_THWC[:, :, ::-1]


def test_every_input_has_its_stages(listed):
    small = {"sample": PIPELINE["sample"], "transform": STEPS}
    large = {**small, "transform": [{"Scale": {"short_size": 64}}]}
    description = {"decode": PIPELINE["decode"], "inputs": {"small": small, "large": large}}
    node = {"format": "VideoDataset", "file_path": str(listed)}
    dataset = build_dataset(node, description, training=True)
    one, other = stages_of(dataset, 0, 0)
    clips = dataset[0, 0].clips
    np.testing.assert_array_equal(one[-1].clip_THWC.transpose(0, 3, 1, 2), clips["clip_small"])
    np.testing.assert_array_equal(other[-1].clip_THWC, clips["clip_large"])
    assert len(other) == 2 and other[1].step == "Scale (clip_large)"


def test_views_follow_one_another(listed):
    steps = [{"Scale": {"short_size": 32}}, {"UniformCrop": {"target_size": 32}}]
    sample = {"name": "UniformSampler", "num_frames": 3, "num_clips": 2}
    description = {**PIPELINE, "sample": sample, "transform": [*steps, {"Image2Array": None}]}
    node = {"format": "VideoDataset", "file_path": str(listed)}
    dataset = build_dataset(node, description, training=False)
    (stages,) = stages_of(dataset, 0, 0)
    views = dataset[0, 0].clip
    assert views.shape == (6, 3, 3, 32, 32)  # [V, T, C, H, W]
    np.testing.assert_array_equal(
        stages[-1].clip_THWC, views.reshape(18, 3, 32, 32).transpose(0, 2, 3, 1)
    )
    assert [len(stage.clip_THWC) for stage in stages] == [6, 6, 18, 18]


def test_scaled_values_as_pictures():
    values = np.array([-2.0, 0.0, 2.0], np.float32).reshape(1, 1, 3, 1)
    assert as_pictures(values).ravel().tolist() == [0, 128, 255]
    assert as_pictures(np.ones((1, 2, 2, 3), np.float32)).max() == 0


def test_the_command(listed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = [
        "DATASET.train={format: VideoDataset, file_path: t.list}",
        "DATASET.batch_size=4",
        "DATASET.class_names=null",
        "MODEL.head.num_classes=2",
        "MIX={name: Cutmix}",
    ]
    options = [part for change in changes for part in ("-o", change)]
    call = ["browse", "movinet_a0_motion_augmented", *options, "--samples", "2"]
    main([*call, "--output", "sheets"])
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["mixed_batch.png", "sample_000.png", "sample_001.png"]
    first = np.asarray(Image.open(tmp_path / "sheets" / names[1]))
    assert first.std() > 20 and first.shape[1] > 400
    main([*call, "--output", "again"])
    assert (np.asarray(Image.open(tmp_path / "again" / names[1])) == first).all()
    main([*call, "--seed", "7", "--output", "page.html"])
    assert (tmp_path / "page.html").read_text().count("data:image/png;base64,") == 3
    with pytest.raises(SystemExit):
        main([*call[:-1], "0"])
