"""Options of engines are refused by name; the engines of a machine without onnxruntime."""

from dataclasses import replace

import numpy as np
import pytest

from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine
from paddlevideo.runtime.engines.open_engine import ENGINES
from paddlevideo.utils.errors import BundleError, ConfigError
from runtime.test_stream_bundle import exported, model  # noqa: F401


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "complied"}, r"engine='complied': did you mean \"compiled\"\?"),
        ({"device": "GPU"}, r"device='GPU': did you mean \"gpu\"\?"),
        ({"precision": "fp61"}, r"precision='fp61'.*known: fp16, fp32, int8"),
        ({"cpu_threads": -3}, r"cpu_threads='-3', expected a whole number of at least 1"),
        ({"cpu_threads": 0}, r"cpu_threads='0'"),
        ({"cpu_threads": 1.5}, r"cpu_threads='1.5'"),
        ({"cpu_threads": True}, r"cpu_threads='True'"),
        ({"gpu_memory_mb": 0}, r"gpu_memory_mb='0'"),
        ({"tensorrt_max_batch": None}, r"tensorrt_max_batch='None'"),
        ({"onednn": "no"}, r"onednn='no', expected True or False"),
        ({"engine": "x" * 900}, r"engine='x{100}': known"),
        ({"engine": ["auto"]}, r"engine=\"\['auto'\]\""),
    ],
)
def test_unknown_values_are_refused_by_name(options, message):
    with pytest.raises(ConfigError, match=message):
        EngineOptions(**options)


def test_auto_falls_back_to_paddle(exported, monkeypatch):  # noqa: F811
    """Where onnxruntime is missing and the compiled engine does not know the program."""
    if exported.step_files.onnx is None:
        pytest.skip("exported without ONNX")

    def refuse(*_arguments):
        raise UnsupportedProgramError("the operation Tanh")

    monkeypatch.setattr(CompiledEngine, "open", refuse)
    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], packages=("none",)))
    opened = open_engine(exported.step_files, EngineOptions(device="cpu", cpu_threads=1))
    assert opened.name == "paddle"


@pytest.mark.parametrize("engine", ["compiled", "onnxruntime"])
def test_inputs_that_do_not_fit_are_refused(exported, engine):  # noqa: F811
    pytest.importorskip("numba")
    pytest.importorskip("onnxruntime")
    if exported.step_files.onnx is None:
        pytest.skip("exported without ONNX")
    options = EngineOptions(device="cpu", cpu_threads=1, engine=engine)
    opened = open_engine(exported.step_files, options)
    known = open_engine(exported.step_files, EngineOptions(device="cpu", engine="compiled"))
    feeds = {name: np.zeros((2, *shape), dtype) for name, shape, dtype in known.expected_inputs}
    expected = opened.run(feeds)
    state = next(name for name, value in feeds.items() if value.dtype == np.float32)
    turned = {name: np.asfortranarray(value) for name, value in feeds.items()}
    for name, value in opened.run(turned).items():
        np.testing.assert_array_equal(value, expected[name])
    wrong = [
        {**feeds, state: feeds[state].astype(np.float16)},
        {**feeds, state: feeds[state].astype(np.float64)},
        {**feeds, state: feeds[state].astype(object)},
        {**feeds, state: feeds[state][..., :0]},
        {**feeds, state: np.float32(0)},
        {**feeds, "more": feeds[state]},
        {name: value for name, value in feeds.items() if name != state},
        {},
    ]
    if engine == "compiled":
        wrong += [
            {**feeds, state: feeds[state][:1]},
            {**feeds, state: feeds[state].astype(">f4")},
            {name: value[:0] for name, value in feeds.items()},
        ]
    for inputs in wrong:
        with pytest.raises(BundleError, match="cannot run"):
            opened.run(inputs)
