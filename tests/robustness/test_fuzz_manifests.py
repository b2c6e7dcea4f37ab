"""Mutants of manifests and references: an answer or one error of ours, no crash, hang or bomb."""

import io
import shutil
import zipfile

import numpy as np
import paddle
import pytest
import yaml
from modeling.conftest import randomise
from runtime.conftest import LABELS, NUM_CLASSES, PIPELINE
from video.conftest import write_video

from paddlevideo.export import ExportOptions, export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.runtime.bundle import file_facts
from paddlevideo.runtime.reference import read_reference
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
    clip, step = document["programs"]
    programs = [
        (name, as_text({**document, "programs": [clip, mutant]}))
        for name, mutant in structured_mutants(step, count // 4, seed + 1)
    ]
    old = [
        (f"old {name}", as_text(mutant))
        for name, mutant in structured_mutants(in_format_3(document), count // 4, seed + 2)
    ]
    return [*mutants(original, count // 4, seed), *structured, *programs, *old]


def as_text(document):
    return yaml.safe_dump(document, sort_keys=False).encode()


def in_format_3(document):
    """The manifest as it was written before it listed programs."""
    rest = {k: v for k, v in document.items() if k not in ("programs", "reference")}
    clip, step = (
        {**program, **dict(zip(("program", "params"), program["files"]["paddle"], strict=True))}
        for program in document["programs"]
    )
    return {**clip, **rest, "mode": "stream", "step": step, "format_version": 3}


def reference_checker(bundle, work):
    """Read a reference (bytes) that the manifest has the checksum of."""
    shutil.copytree(bundle, work)
    manifest = yaml.safe_load((work / "inference.yml").read_bytes())

    def check(content: bytes) -> str:
        (work / "reference.npz").write_bytes(content)
        signed = {**manifest, "files": file_facts(work, list(manifest["files"]))}
        (work / "inference.yml").write_bytes(as_text(signed))
        clips = read_reference(read_bundle(work)).clips()
        return str({name: clip.shape for name, clip in clips.items()})

    return check


def reference_cases(bundle, count, seed):
    """The file's bytes changed, and those of its arrays within a zip that is whole."""
    original = (bundle / "reference.npz").read_bytes()
    yield from mutants(original, count, seed)
    with zipfile.ZipFile(io.BytesIO(original)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for name, content in members.items():
        for what, mutant in mutants(content, count // 4, seed):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as file:
                for other, kept in members.items():
                    file.writestr(other, mutant if other == name else kept)
            yield f"{name} {what}", packed.getvalue()


def run(bundle, video, work, count, seed):
    check = checker(bundle, video, work)
    original = (bundle / "inference.yml").read_bytes()
    assert check(original) == check(as_text(in_format_3(yaml.safe_load(original))))
    hold(check, cases_of(bundle, count, seed))


def hold(check, cases):
    names = [name for name, _ in cases]
    results = outcomes(check, [data for _, data in cases], seconds=20, memory_mb=500)
    failed = failures(results, names)
    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed[:10])


def test_mutants(bundle, video, tmp_path):
    run(bundle, video, tmp_path / "b", 140, seed=1)


def test_mutants_of_references(bundle, tmp_path):
    check = reference_checker(bundle, tmp_path / "b")
    assert check((bundle / "reference.npz").read_bytes())
    hold(check, list(reference_cases(bundle, 40, seed=1)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_mutants(bundle, video, tmp_path, seed):
    run(bundle, video, tmp_path / "b", 500, seed)
    check = reference_checker(bundle, tmp_path / "c")
    hold(check, list(reference_cases(bundle, 400, seed)))
