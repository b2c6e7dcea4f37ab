"""What the recipe says of loading reaches the loader."""

import pytest
from video.conftest import write_video

from paddlevideo.tasks.build import build_loader, build_split
from paddlevideo.tasks.recipe import parse_recipe


@pytest.fixture
def recipe_of(tmp_path):
    for place in range(6):
        write_video(tmp_path / f"v{place}.mp4", 4)
    (tmp_path / "all.list").write_text("".join(f"v{i}.mp4 {i % 2}\n" for i in range(6)))
    split = {
        "format": "VideoDataset",
        "file_path": str(tmp_path / "all.list"),
        "data_prefix": str(tmp_path),
    }
    steps = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": 2},
        "transform": ["Image2Array"],
    }

    def build(**dataset):
        return parse_recipe(
            {
                "MODEL": {"preset": "movinet_t0_base", "head": {"num_classes": 2}},
                "DATASET": {"train": split, "valid": split, "test": split, **dataset},
                "PIPELINE": {"train": steps, "valid": steps, "test": steps},
            }
        )

    return build


def order(recipe, split):
    loader = build_loader(recipe, split, build_split(recipe, split), 2)
    return [index for batch in loader.epoch(0) for index in batch["index"].numpy().tolist()]


def test_validation_is_in_order_unless_shuffled(recipe_of):
    assert order(recipe_of(), "valid") == [0, 1, 2, 3, 4, 5]
    shuffled = recipe_of(shuffle_valid=True)
    assert order(shuffled, "valid") != [0, 1, 2, 3, 4, 5]
    assert sorted(order(shuffled, "valid")) == [0, 1, 2, 3, 4, 5]
    assert order(shuffled, "test") == [0, 1, 2, 3, 4, 5]


def test_batch_sizes_and_workers_of_each_split(recipe_of):
    recipe = recipe_of(batch_size=3, test_batch_size=2, num_workers=1, test_num_workers=0)
    loaders = {s: build_loader(recipe, s, build_split(recipe, s), 2) for s in ("valid", "test")}
    assert (loaders["valid"].batch_size, loaders["valid"].num_workers) == (3, 1)
    assert (loaders["test"].batch_size, loaders["test"].num_workers) == (2, 0)
    wide = recipe_of(batch_size=3, valid_batch_size=6, valid_num_workers=0, num_workers=2)
    loader = build_loader(wide, "valid", build_split(wide, "valid"), 2)
    assert (loader.batch_size, loader.num_workers) == (6, 0)
