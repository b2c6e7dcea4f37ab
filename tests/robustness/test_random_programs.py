"""Random programs of steps and clips: the answer of ONNX Runtime, or a refusal by name."""

import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from robustness.clip_programs import RandomClip  # noqa: E402
from robustness.guarded import failures, outcomes  # noqa: E402
from robustness.onnx_programs import RandomProgram, run_file, step_program  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def kernels(tmp_path_factory):
    """Compiled here, not under the limit of time of a case."""
    path = tmp_path_factory.mktemp("kernels") / "a.onnx"
    onnx.save(step_program(), str(path))
    assert run_file(path, "compiled") == "compiled"


@pytest.mark.parametrize(
    "seeds", [range(200), pytest.param(range(200, 3200), marks=pytest.mark.slow)]
)
def test_random_programs(tmp_path, seeds):
    def check(seed):
        path = tmp_path / "a.onnx"
        onnx.save(RandomProgram(seed).model(), str(path))
        return run_file(path, "compiled", seed, batch=1 + seed % 5, broken=seed % 10 == 0)

    results = outcomes(check, list(seeds))
    assert not failures(results, [f"seed {seed}" for seed in seeds])
    accepted = sum(result.kind == "ok" for result in results)
    assert accepted > 0.4 * len(seeds), f"{accepted} of {len(seeds)} were accepted"


@pytest.mark.parametrize(
    "seeds", [range(30), pytest.param(range(30, 1500), marks=pytest.mark.slow)]
)
def test_random_clips(tmp_path, seeds):
    """All of them run; what is no number in a clip shows in its answer."""

    def check(seed):
        path = tmp_path / "a.onnx"
        onnx.save(RandomClip(seed).model(), str(path))
        return run_file(path, "compiled", seed, batch=1 + seed % 3, broken=seed % 5 == 0)

    results = outcomes(check, list(seeds))
    assert not failures(results, [f"seed {seed}" for seed in seeds])
    assert all(result.kind == "ok" for result in results)
