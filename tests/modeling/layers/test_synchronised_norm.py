"""Two processes that normalise together compute what one does with all clips."""

import numpy as np
import pytest
from end_to_end.conftest import launch

from modeling.layers.synchronise import data, run

SCRIPT = "tests/modeling/layers/synchronise.py"


def test_two_processes_are_one(tmp_path):
    done = launch(SCRIPT, cwd=tmp_path, log_dir=tmp_path / "log")
    assert done.code == 0, done.stderr
    first, second = (dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in (0, 1))
    whole = run(*data(), synchronised=False)
    for name in ("y", "gx"):
        ours = np.concatenate([first[name], second[name]])
        np.testing.assert_allclose(ours, whole[name], rtol=1e-4, atol=2e-6, err_msg=name)
    for name in ("ggamma", "gbeta"):
        np.testing.assert_allclose(first[name] + second[name], whole[name], rtol=1e-4, atol=1e-5)
    for name in ("mean", "variance"):
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], whole[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("synchronised", [False, True])
def test_one_process_is_as_ever(synchronised):
    ours, expected = run(*data(), synchronised), run(*data(), False)
    for name, array in expected.items():
        np.testing.assert_array_equal(ours[name], array)
