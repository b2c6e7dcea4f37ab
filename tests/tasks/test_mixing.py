"""The section MIX: when batches are mixed, and what does not fit the rest of a recipe."""

import numpy as np
import paddle
import pytest

from paddlevideo.convert.paddlevideo_config import translate_config
from paddlevideo.tasks.mixing import build_mixing
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.config import parse_yaml
from paddlevideo.utils.errors import ConfigError
from tasks.test_recipe import TEXT, changed

BATCH = {"clip": paddle.arange(24).reshape([2, 1, 3, 2, 2]), "label": paddle.to_tensor([3, 4])}
MIXUP = {"name": "Mixup", "alpha": 1.0}


def config(**sections):
    return {**parse_yaml(TEXT, "config.yaml"), **sections}


def mixing(epochs=4, seed=0, **keys):
    return build_mixing({**MIXUP, **keys}, ["clip"], 2, epochs, seed)


def share_of(mixed):
    """What a step drew; None where it was not mixed."""
    return float(mixed["mix_weight"]) if "mix_weight" in mixed else None


def test_without_a_section_a_batch_is_the_same_object():
    assert parse_recipe(config()).build_mixing()(BATCH, 0, 0) is BATCH


def test_a_draw_depends_on_seed_epoch_and_step_alone():
    shares = {
        (seed, epoch, step): share_of(mixing(seed=seed)(BATCH, epoch, step))
        for seed in (0, 1)
        for epoch in (0, 1)
        for step in (0, 1)
    }
    assert len(set(shares.values())) == len(shares)
    for (seed, epoch, step), share in reversed(shares.items()):
        assert share_of(mixing(seed=seed)(BATCH, epoch, step)) == share


def test_ranks_draw_for_themselves(monkeypatch):
    first = share_of(mixing()(BATCH, 0, 0))
    monkeypatch.setattr("paddlevideo.tasks.mixing.rank", lambda: 1)
    assert share_of(mixing()(BATCH, 0, 0)) != first


def test_probability_and_the_last_epochs():
    some = mixing(probability=0.3)
    mixed = [share_of(some(BATCH, 0, step)) is not None for step in range(500)]
    assert np.mean(mixed) == pytest.approx(0.3, abs=0.07)
    ending = mixing(off_epochs=2)
    assert [share_of(ending(BATCH, epoch, 0)) is None for epoch in range(4)] == [False] * 2 + [
        True
    ] * 2


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({**MIXUP, "probability": 0.0}, "MIX.probability: .*greater than 0"),
        ({**MIXUP, "probability": 1.2}, "MIX.probability: .*less than or equal to 1"),
        ({**MIXUP, "off_epochs": -1}, "MIX.off_epochs"),
        ({**MIXUP, "off_epochs": 1}, "MIX.off_epochs is 1, and the run has epochs: 1"),
        ({"name": "Mixup", "alpha": "much"}, "MIX.alpha"),
        ({"alpha": 0.2}, 'MIX: expected a mapping with "name: <mix>"'),
        ({"name": "SwitchMix", "mixes": [MIXUP, {"name": "Cutmix", "beta": 1}]}, "beta"),
    ],
)
def test_a_wrong_section(section, message):
    with pytest.raises(ConfigError, match=message):
        parse_recipe(config(MIX=section))


def test_a_batch_of_one_has_nothing_to_mix():
    with pytest.raises(ConfigError, match=r"DATASET\.batch_size is 1; make it 2 or more"):
        parse_recipe(changed(config(MIX=MIXUP), "DATASET.batch_size", 1))


def test_several_inputs():
    """Mixup mixes them alike; a box would be another share of each."""
    inputs = ["clip_a", "clip_b"]
    build_mixing(MIXUP, inputs, 2, 1, 0)
    for node in (
        {"name": "Cutmix"},
        {"name": "VideoMix"},
        {"name": "SwitchMix", "mixes": [MIXUP, {"name": "Cutmix"}]},
    ):
        with pytest.raises(ConfigError, match=r"takes clip_a, clip_b, .* use Mixup"):
            build_mixing(node, inputs, 2, 1, 0)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"name": "Mixup", "alpha": 0.2}, {"name": "Mixup", "alpha": 0.2}),
        ({"name": "VideoMix", "mode": "temporal"}, {"name": "VideoMix", "mode": "temporal"}),
        (
            {"name": "VideoMix", "cutmix_prob": 0.25, "mixup_alpha": 0.3},
            {
                "name": "SwitchMix",
                "mixes": [{"name": "Cutmix", "alpha": 1.0}, {"name": "Mixup", "alpha": 0.3}],
                "weights": [0.25, 0.75],
            },
        ),
        (
            {"name": "VideoMix", "cutmix_prob": 1, "cutmix_alpha": 0.5, "probability": 0.5},
            {"name": "Cutmix", "alpha": 0.5, "probability": 0.5},
        ),
    ],
)
def test_paddlevideos_sections(section, expected):
    """Its VideoMix is a switch; ours is that of the paper."""
    translated = translate_config(config(MIX=section))
    assert translated["MIX"] == expected
    assert parse_recipe(translated).MIX == expected


def test_paddlevideos_chance_is_a_probability():
    with pytest.raises(ConfigError, match=r"MIX\.cutmix_prob: expected a probability"):
        translate_config(config(MIX={"name": "VideoMix", "cutmix_prob": 0}))
