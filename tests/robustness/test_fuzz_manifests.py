"""Mutants of manifests: an answer or one error of ours, never a crash, hang or memory bomb."""

import shutil

import numpy as np
import paddle
import pytest
import yaml
from modeling.conftest import randomise
from runtime.conftest import LABELS, NUM_CLASSES, PIPELINE
from video.conftest import write_video

from paddlevideo.export import ExportOptions, export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import load_predictor
from robustness.documents import structured_mutants
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A stream bundle with Paddle's programs; its checksums stay those of its files."""
    paddle.seed(0)
    section = model_section("movinet_a0_stream", num_classes=NUM_CLASSES)
    model = randomise(build_recognizer(section)).eval()
    folder = tmp_path_factory.mktemp("fuzz") / "bundle"
    options = ExportOptions(mode="stream")
    return export_model(model, PIPELINE, folder, "MoViNetA0", LABELS, options).folder


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 12)


def checker(bundle, video, work):
    """Read, open, classify and stream what a manifest (bytes) stands for."""
    shutil.copytree(bundle, work)

    def check(manifest: bytes) -> str:
        (work / "inference.yml").write_bytes(manifest)
        predictor = load_predictor(work, device="cpu", cpu_threads=1)
        result = predictor(video)
        stream = predictor.open_stream()
        stream.push(np.zeros((40, 60, 3), np.uint8))
        return str(result.index)

    return check


def cases_of(bundle, count, seed):
    original = (bundle / "inference.yml").read_bytes()
    document = yaml.safe_load(original)
    structured = [
        (name, yaml.safe_dump(mutant, allow_unicode=True, sort_keys=False).encode())
        for name, mutant in structured_mutants(document, count, seed)
    ]
    step = [
        (name, yaml.safe_dump({**document, "step": mutant}, sort_keys=False).encode())
        for name, mutant in structured_mutants(document["step"], count // 4, seed + 1)
    ]
    return [*mutants(original, count // 4, seed), *structured, *step]


def run(bundle, video, work, count, seed):
    check = checker(bundle, video, work)
    assert check((bundle / "inference.yml").read_bytes())
    cases = cases_of(bundle, count, seed)
    names = [name for name, _ in cases]
    results = outcomes(check, [data for _, data in cases], seconds=20, memory_mb=500)
    failed = failures(results, names)
    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed[:10])


def test_mutants(bundle, video, tmp_path):
    run(bundle, video, tmp_path / "b", 140, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_mutants(bundle, video, tmp_path, seed):
    run(bundle, video, tmp_path / "b", 500, seed)
