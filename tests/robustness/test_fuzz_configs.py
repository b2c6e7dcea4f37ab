"""Mutants of configs: a recipe whose parts can be built, or one error of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from paddle import nn

import paddlevideo
from paddlevideo.apps.recipes import open_recipe
from paddlevideo.metrics import METRICS
from paddlevideo.modeling.builder import number_of_classes
from paddlevideo.solver import build_optimizer, build_schedule
from paddlevideo.utils.config import read_config
from paddlevideo.video import Pipeline
from robustness.documents import structured_mutants
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants

ROOT = Path(paddlevideo.__file__).parents[1]
FOLDER = ROOT / "configs" / "recognition" / "movinet"
CONFIGS = (
    "movinet_k400_frame",
    "movinet_a0_motion",
    "movinet_a0_stream_folder",
    "movinet_a6_base_k600",
)


class TwoWeights(nn.Linear):
    """Stands for a recognizer, of which an optimizer asks no more than this."""

    def decayed_kernels(self) -> list[str]:
        return ["weight"]


def checker(work):
    """Read a config (bytes) and build what it describes, but for the network's numbers."""
    path = work / "config.yaml"

    def check(config: bytes) -> int:
        path.write_bytes(config)
        recipe = open_recipe(path)
        for split in ("train", "valid", "test"):
            description = getattr(recipe.PIPELINE, split)
            if description is not None:
                Pipeline(description, f"PIPELINE.{split}", training=split == "train")
        METRICS.build(recipe.METRIC, "METRIC")
        if recipe.OPTIMIZER is not None:
            build_optimizer(recipe.OPTIMIZER, TwoWeights(2, 2), "OPTIMIZER")
            build_schedule(recipe.OPTIMIZER["learning_rate"], "").rate(0, 0, 10)
        assert recipe.run_folder.name
        assert open_again(work, recipe.to_yaml()) == recipe
        return number_of_classes(recipe.MODEL)

    return check


def open_again(work, text):
    path = work / "again.yaml"
    path.write_text(text, encoding="utf-8")
    return open_recipe(path)


def cases_of(name, count, seed):
    document = read_config(FOLDER / f"{name}.yaml")
    original = yaml.safe_dump(document, sort_keys=False).encode()
    structured = [
        (name, yaml.safe_dump(mutant, allow_unicode=True, sort_keys=False).encode())
        for name, mutant in structured_mutants(document, count, seed)
    ]
    return [("as it is", original), *mutants(original, count // 4, seed), *structured]


def run(work, count, seed):
    cases = [case for name in CONFIGS for case in cases_of(name, count, seed)]
    names = [name for name, _ in cases]
    results = outcomes(checker(work), [data for _, data in cases], seconds=5, memory_mb=500)
    failed = failures(results, names)
    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed[:10])
    unchanged = [r.kind for r, name in zip(results, names, strict=True) if name == "as it is"]
    assert unchanged == ["ok"] * len(CONFIGS)
    assert {result.kind for result in results} == {"ok", "refused"}


def test_mutants(tmp_path):
    run(tmp_path, 40, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_mutants(tmp_path, seed):
    run(tmp_path, 125, seed)
