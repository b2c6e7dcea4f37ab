"""Which differences are harmless, and that none passes without a word."""

from types import SimpleNamespace

import pytest

from paddlevideo.tasks.differences import HARMLESS, config_differences, config_of, samples_digest
from paddlevideo.tasks.recipe import DatasetSection, Recipe, parse_recipe
from paddlevideo.tasks.run_part import RunFacts, RunPart
from paddlevideo.utils.errors import WeightsError

CONFIG = {"MODEL": {"preset": "movinet_a0_base"}, "DATASET": {"batch_size": 4}}


def test_every_harmless_key_is_one():
    known = set(Recipe.model_fields) | {f"DATASET.{name}" for name in DatasetSection.model_fields}
    assert {key for key in HARMLESS if not key.startswith("PIPELINE.")} <= known


@pytest.mark.parametrize(
    ("change", "told", "is_harmless"),
    [
        ({"epochs": 3}, "epochs: 1 in the state, 3 now", True),
        ({"DATASET": {"batch_size": 4, "num_workers": 2}}, "DATASET.num_workers: 0 in", True),
        ({"save_every": {"steps": 3}}, "save_every.steps: not given in the state, 3 now", True),
        ({"seed": 7}, "seed: 0 in the state, 7 now", False),
        ({"DATASET": {"batch_size": 8}}, "DATASET.batch_size: 4 in the state, 8 now", False),
        ({"GRADIENT_ACCUMULATION": {"global_batch_size": 8}}, "global_batch_size: not g", False),
        ({"METRIC": {"name": "TopKAccuracy", "topk": [1]}}, "METRIC.topk", False),
        ({"MODEL": {"preset": "movinet_a1_base"}}, "MODEL.backbone.", False),
    ],
)
def test_differences(change, told, is_harmless):
    old, new = (config_of(parse_recipe({**CONFIG, **more})) for more in ({}, change))
    found = config_differences(old, new)
    assert any(told in each.text and each.is_harmless == is_harmless for each in found), found
    assert config_differences(old, old) == []


def test_how_a_start_is_asked_for_is_no_difference():
    changed = {"resume": "auto", "resume_anyway": True, "overwrite": False}
    old, new = (config_of(parse_recipe({**CONFIG, **more})) for more in ({}, changed))
    assert config_differences(old, new) == []


def test_a_key_that_the_program_got_later():
    """A state of before it is as one where it is off."""
    assert config_differences({"a": 1}, {"a": 1, "new": None, "other": False}) == []
    (difference,) = config_differences({"a": 1}, {"a": 1, "new": 0.5})
    assert difference.text == "new: not given in the state, 0.5 now"


def test_facts_beside_the_config():
    old = RunFacts(processes=2, precision="O1 float16", samples="a", config={"k": 1})
    now = RunFacts(processes=1, precision="float32", samples="b", config={"k": 1})
    texts = [difference.text for difference in old.differences_to(now)]
    assert texts == [
        "processes: 2 in the state, 1 now", "precision: O1 float16 in the state, float32 now",
        "the training samples (paths or labels) are not those of the state",
    ]  # fmt: skip
    with pytest.raises(WeightsError, match="processes: 2 in the state, 1 now; precision: O1"):
        RunPart(now).check_state(old.model_dump(), "file")
    RunPart(now, anyway=True).check_state(old.model_dump(), "file")
    RunPart(now).check_state({"seed": 0, "freeze": None}, "file")  # of an earlier version
    with pytest.raises(WeightsError, match="seed: 5 in the state, 0 now"):
        RunPart(now).check_state({"seed": 5}, "file")


def dataset(*records):
    return SimpleNamespace(records=[SimpleNamespace(path=p, label=n) for p, n in records])


def test_samples_are_the_same_wherever_they_lie():
    ours = samples_digest(dataset(("/a/x/1.mp4", 0), ("/a/y/2.mp4", 1)))
    assert ours == samples_digest(dataset(("/b/c/x/1.mp4", 0), ("/b/c/y/2.mp4", 1)))
    for other in (
        (("/a/x/1.mp4", 0), ("/a/y/2.mp4", 0)),
        (("/a/y/2.mp4", 1), ("/a/x/1.mp4", 0)),
        (("/a/x/1.mp4", 0),),
    ):
        assert samples_digest(dataset(*other)) != ours
