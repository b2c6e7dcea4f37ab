"""Mutants of lists of samples: records that can be looked for, or one error of ours."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from paddlevideo.loader import build_dataset
from paddlevideo.loader.dataset import read_list
from paddlevideo.utils.errors import DataError
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants

PIPELINE = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "UniformSampler", "num_frames": 2},
    "transform": [{"Resize": {"height": 8, "width": 8}}, "Image2Array"],
}
PARTS = ("a.mp4", "x/y.mp4", "#z.mp4", "# c", "日本/é.mp4", "b c.avi", "..", "/", "~", "-", " ")
ODD_PARTS = ("\x00", "\x85", "\u2028", "\r", "\t", "\ufeff", "\\", "%s", "{}", "x" * 300, "1" * 30)


def lists(count: int, seed: int):
    """Lists of odd lines, and damaged copies of them."""
    for number in range(count // 2):
        rng = np.random.default_rng([seed, number])
        lines = []
        for _ in range(int(rng.integers(1, 20))):
            parts = [str(rng.choice(PARTS)) for _ in range(int(rng.integers(1, 4)))]
            if not rng.integers(8):
                parts.append(str(rng.choice(np.array(ODD_PARTS, object))))
            parts.append(str(int(rng.integers(-2, 400))))
            lines.append(str(rng.choice([" ", "\t", "  "])).join(parts))
        data = "\n".join(lines).encode()
        yield data
        yield from (mutant for _, mutant in mutants(data, 1, seed * 1000 + number))


def checker(work):
    path = work / "train.list"
    nodes = [
        {"format": "VideoDataset", "file_path": str(path), "data_prefix": str(work)},
        {"format": "FrameDataset", "file_path": str(path)},
    ]

    def check(data: bytes) -> int:
        path.write_bytes(data)
        pipelines = [PIPELINE, {**PIPELINE, "decode": {"name": "FrameDecoder"}}]
        num_records = 0
        for node, pipeline in zip(nodes, pipelines, strict=True):
            with contextlib.suppress(DataError):
                dataset = build_dataset(node, pipeline, training=False)
                num_records += len(dataset)
                for look in (dataset.check_files, lambda d=dataset: d.check_labels(400)):
                    with contextlib.suppress(DataError):
                        look()
                for index in range(len(dataset)):
                    with contextlib.suppress(DataError):
                        _ = dataset[0, index]
        return num_records

    return check


def run(work, count, seed):
    cases = list(lists(count, seed))
    results = outcomes(checker(work), cases, seconds=5, memory_mb=500)
    failed = failures(results, [f"seed {seed}: {case[:300]!r}" for case in cases])
    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed[:10])
    assert sum(int(result.text) for result in results) > count  # most lines are read


def test_mutants(tmp_path):
    run(tmp_path, 200, seed=1)


def test_a_million_missing_files(tmp_path):
    """Each line is read, and each file looked for, within seconds."""
    path = tmp_path / "big.list"
    lines = (f"videos/class_{n % 400}/name_{n}.mp4 {n % 400}\n" for n in range(10**6))
    path.write_text("".join(lines), encoding="utf-8")

    def check(path):
        node = {"format": "VideoDataset", "file_path": str(path)}
        dataset = build_dataset(node, PIPELINE, training=False)
        dataset.check_files()

    (result,) = outcomes(check, [path], seconds=60, memory_mb=500)
    assert result.kind == "refused" and "1000000 of 1000000 listed" in result.text


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_mutants(tmp_path, seed):
    run(tmp_path, 500, seed)


def test_the_suite_reads_what_it_mutates(tmp_path):
    path = tmp_path / "l.list"
    path.write_bytes(next(lists(2, 5)))
    with contextlib.suppress(DataError):
        assert read_list(path, None)
