"""Roundings to 8 bits: the bytes of ONNX Runtime at halves, and the same on every processor."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from paddlevideo.runtime.engines.compiled.engine import (  # noqa: E402
    CompiledEngine,
    read_program,
)
from paddlevideo.runtime.engines.compiled.host import features_of, host  # noqa: E402
from paddlevideo.runtime.engines.compiled.integer_lowering import has_table  # noqa: E402
from paddlevideo.runtime.engines.compiled.processor import processor_of  # noqa: E402
from runtime.test_compiled_integers import CPU, Rounded  # noqa: E402

PROJECT = Path(__file__).resolve().parent.parent.parent
HASWELL = "+sse2,+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2"


@pytest.mark.parametrize("scales", [(0.03, 0.03), (0.05, 0.05), (0.25, 0.1), (1 / 60, 3 / 100)])
@pytest.mark.parametrize("given_as", ["bytes", "floats too"])
def test_hard_swish_of_every_byte(tmp_path, monkeypatch, scales, given_as):
    """Exactly ONNX Runtime's, also where scales are simple fractions and many results are halves.

    A product with the reciprocal of 0.03 gave 3 of 256 otherwise.
    """
    name = "paddlevideo.runtime.engines.compiled.integer_choice.integers_are_faster"
    monkeypatch.setattr(name, lambda run: True)
    file, shape = Rounded(0), (1, 16, 16)
    x = file.round(file.input("x", shape), scales[0], 128)
    file.constants |= {"i": np.ones((1, 1, 1, 1), np.int8), "one": np.ones(1, np.float32),
                       "none": np.zeros(1, np.int8)}  # fmt: skip
    weight = file.node("DequantizeLinear", ["i", "one", "none"], "w", axis=0)
    last = file.round(file.node("Conv", [x, weight], "c", kernel_shape=[1, 1]), scales[0], 128)
    gate = file.node("HardSigmoid", [last], "g", alpha=1 / 6, beta=0.5)
    last = file.round(file.node("Mul", [last, gate], "h"), scales[1], 128)
    outputs = {last: shape} | ({"h": shape} if given_as == "floats too" else {})
    path = file.save(tmp_path / "a.onnx", outputs)
    product = next(each for each in read_program(path).operations if each.kind == "integer_dense")
    assert has_table(product) == (given_as == "bytes")
    steps = np.arange(-128, 128, dtype=np.float32).reshape(1, *shape)
    feeds = {"x": steps * np.float32(scales[0])}
    expected = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)
    found = CompiledEngine(path, list(outputs), CPU).run(feeds)
    for output, values in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(found[output], values)


# What follows the sums of a product, of 48 channels, printed as a digest; and how wide vectors are.
_FINISH = """
import hashlib
import numpy as np
from numba import njit
from paddlevideo.runtime.engines.compiled.byte_tables import look_up
from paddlevideo.runtime.engines.compiled.integer_finish import finish
from paddlevideo.runtime.engines.compiled.simd import LANES

@njit
def run(sums, rows, vectors, factors, numbers, activation, shortcut, is_bytes, y, y8, table, found):
    row = vectors * LANES
    finish(sums, 4 * row, rows, vectors, factors, numbers, activation, shortcut,
           row if is_bytes else 4 * row, is_bytes, y, 4 * row, y8, row)
    look_up(y8, row, rows, vectors, table, found, row)

rng = np.random.default_rng(0)
ROWS, CHANNELS = 500, 48
sums = rng.integers(-40000, 40000, (ROWS, CHANNELS)).astype(np.int32)
other = rng.integers(0, 256, (ROWS, CHANNELS + 4), np.uint8)
floats = rng.standard_normal((ROWS, CHANNELS)).astype(np.float32)
table = rng.permutation(256).astype(np.uint8)
digest = hashlib.sha256()
for scale, step in ((0, 0.03), (0.03, 0.03), (0.05, 0.02), (0.037, 0.0511)):
    factors = np.full(CHANNELS, 0.004 if scale else 0.0004, np.float32)
    numbers = np.float32([scale, -100, 127, 0.02, 77, step, -128, 127, 128])
    for given in ([1 / 6, 0.5, 0, 1, 1], [1, 0, -1.5, 2, 0], [0.2, 0.5, 0, 1, 0]):
        activation = np.float32(given)
        for shortcut, is_bytes in ((None, 0), (other, 1), (floats, 0)):
            y = np.zeros((ROWS + 1, CHANNELS), np.float32)
            y8, looked = (np.zeros((ROWS + 2, CHANNELS), np.uint8) for _ in range(2))
            at = [each.ctypes.data for each in (sums, factors, numbers, activation)]
            run(at[0], ROWS, CHANNELS // LANES, *at[1:], shortcut.ctypes.data if shortcut is not
                None else 0, is_bytes, y.ctypes.data, y8.ctypes.data, table.ctypes.data,
                looked.ctypes.data)
            assert (looked[:ROWS] == table[y8[:ROWS]]).all()
            for each in (y, y8):
                digest.update(each[:ROWS].tobytes())
print(LANES, digest.hexdigest())
"""


def test_roundings_are_the_same_on_every_processor():
    """What follows a product, in each width of vectors, with and without multiply-adds."""
    if host().family != "x86":
        pytest.skip("for other processors of x86")
    processes = []
    for name, features in (("haswell", HASWELL), ("x86-64", "+sse2"), ("", "")):
        if features and host().lanes < processor_of("x86", features_of(features)).lanes:
            continue
        chosen = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features} if name else {}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _FINISH], env={**os.environ, **chosen},
                cwd=PROJECT, stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    lines = [process.communicate(timeout=300)[0].split() for process in processes]
    assert len({lanes for lanes, _ in lines}) == len(lines)
    assert len({digest for _, digest in lines}) == 1, lines
