"""Random programs of steps and clips: the answer of ONNX Runtime, or a refusal by name."""

import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from robustness.clip_programs import RandomClip  # noqa: E402
from robustness.guarded import failures, outcomes  # noqa: E402
from robustness.onnx_programs import RandomProgram, run_file, step_program  # noqa: E402
from robustness.rounded_clips import RoundedClip  # noqa: E402
from robustness.rounded_programs import RoundedProgram, run_rounded  # noqa: E402


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
    "seeds", [range(100), pytest.param(range(100, 1000), marks=pytest.mark.slow)]
)
def test_random_programs_on_8_bits(tmp_path, seeds):
    """In integers, each operation as in NumPy; in floats with the same roundings.

    Seed 565 has a sum over time whose terms cancel.
    """

    def check(seed):
        path = tmp_path / "a.onnx"
        onnx.save(RoundedProgram(seed).model(), str(path))
        return run_rounded(path, seed, in_integers=seed % 4 > 0, is_checked=seed % 2 > 0)

    results = outcomes(check, list(seeds))
    assert not failures(results, [f"seed {seed}" for seed in seeds])
    integers = sum(result.text == "'8-bit integers'" for result in results)
    assert integers > 0.3 * len(seeds), f"{integers} of {len(seeds)} ran in integers"


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


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 1000), marks=pytest.mark.slow)]
)
def test_random_clips_on_8_bits(tmp_path, seeds):
    """In integers and in floats; every second time each operation as in NumPy, and in guards."""

    def check(seed):
        path = tmp_path / "a.onnx"
        onnx.save(RoundedClip(seed).model(), str(path))
        return run_rounded(path, seed, in_integers=seed % 4 > 0, is_checked=seed % 2 > 0)

    results = outcomes(check, list(seeds))
    assert not failures(results, [f"seed {seed}" for seed in seeds])
    assert all(result.kind == "ok" for result in results)
