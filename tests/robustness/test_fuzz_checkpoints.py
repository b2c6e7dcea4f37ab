"""Mutants of a checkpoint: resumed from, passed over, or one error of ours; never half of it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tasks.test_checkpoint import OPTIMIZERS, Run, assert_same

from paddlevideo.tasks.best import BestResult
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.parts import optimizer_arrays
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.run_part import RunFacts, RunPart
from paddlevideo.tasks.saved_state import Snapshot
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.files import sha256_of
from paddlevideo.weights import model_arrays
from robustness.documents import structured_mutants
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants

NODE = OPTIMIZERS["Adam"]
FOLDER = "Net_step_000000010.state"
FILES = tuple(
    f"{FOLDER}/{name}" for name in ("model.safetensors", "optimizer.safetensors", "state.json")
)
MANIFEST = f"{FOLDER}/manifest.json"


def parts_of(run):
    """Those of a training with five steps an epoch, after its second."""
    position, best = Position(5), BestResult()
    for _ in range(10):
        position.advance()
    best.result = {"top1": 0.5, "epoch": 1}
    return {**run.parts, "position": position, "best": best, "run": RunPart(RunFacts())}


@pytest.fixture
def saved(tmp_path):
    """A folder with the checkpoint of two steps."""
    folder = tmp_path / "saved"
    folder.mkdir()
    run = Run(NODE).train(0, 2)
    Checkpoints(folder, "Net").save(Snapshot.of(10, parts_of(run)))
    return folder


def checker(saved, work):
    """Resume from a checkpoint of which one file is replaced; ``signed``: the manifest vouches."""

    def check(case) -> str:
        name, data, signed = case
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(saved, work)
        (work / name).write_bytes(data)
        if signed:
            manifest = json.loads((work / MANIFEST).read_text())
            for listed in manifest:
                path = work / FOLDER / listed
                manifest[listed] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
            (work / MANIFEST).write_text(json.dumps(manifest))
        checkpoints = Checkpoints(work, "Net")
        state = checkpoints.newest_valid()
        if state is None:
            return "passed over"
        run, fresh = Run(NODE), Run(NODE)
        parts = parts_of(run)
        try:
            checkpoints.load(state, parts)
        except WeightsError:
            assert_same(run, fresh)  # nothing of it was taken
            raise
        if not signed:
            original = Run(NODE)
            whole = Checkpoints(saved, "Net")
            whole.load(whole.newest_valid(), original.parts)
            assert_same(run, original)
        position = parts["position"]
        assert position.epoch >= 0 and position.iterations >= 0 and 0 <= position.step < 5
        run.train(2, 3)
        arrays = model_arrays(run.net) | optimizer_arrays(run.optimizer, run.net)
        if signed:
            return "resumed"
        assert all(np.isfinite(array).all() for array in arrays.values())
        return "resumed"

    return check


def cases_of(saved, count, seed):
    share = count // 8
    for number, name in enumerate((*FILES, MANIFEST)):
        data = (saved / name).read_bytes()
        for signed in (False, True):
            for _, mutant in mutants(data, share, seed * 100 + number * 2 + signed):
                yield name, mutant, signed and name != MANIFEST
    for name in (FILES[2], MANIFEST):
        document = json.loads((saved / name).read_text())
        for _, mutant in structured_mutants(document, share * 2, seed):
            yield name, json.dumps(mutant).encode(), name != MANIFEST


def run_cases(saved, work, count, seed):
    cases = list(cases_of(saved, count, seed))
    results = outcomes(checker(saved, work), cases, seconds=5, memory_mb=500)
    names = [
        f"seed {seed}: {name}, signed {signed}: {data[:200]!r}" for name, data, signed in cases
    ]
    failed = failures(results, names)
    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed[:10])
    texts = {result.text for result in results}
    assert {"'passed over'", "'resumed'"} <= texts
    assert any(result.kind == "refused" for result in results)


def test_mutants(saved, tmp_path):
    run_cases(saved, tmp_path / "work", 160, seed=1)


def test_nothing_is_taken_where_the_optimizer_does_not_fit(saved, tmp_path):
    """A whole file that names a parameter of another network."""
    data = (saved / FILES[1]).read_bytes().replace(b"dense.weight/", b"dens3.weight/")
    (result,) = outcomes(checker(saved, tmp_path / "work"), [(FILES[1], data, True)])
    assert result.kind == "refused" and "no parameter" in result.text, result


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_mutants(saved, tmp_path, seed):
    run_cases(saved, tmp_path / "work", 400, seed)
