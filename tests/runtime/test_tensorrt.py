"""What TensorRT is told; running it is for machines that have it (tests/gpu)."""

import pytest
from paddle import inference

from paddlevideo.runtime.engines import EngineOptions, tensorrt
from paddlevideo.runtime.engines.paddle_program import declared_inputs
from paddlevideo.utils.errors import BundleError, DeviceError
from runtime.test_stream_bundle import exported, model  # noqa: F401


def test_a_program_says_its_inputs(exported):  # noqa: F811
    inputs = declared_inputs(exported.step_files.program)
    step = exported.manifest.step
    assert set(inputs) == {"frame"} | {name for queue in step.queues for name in queue.inputs}
    assert inputs["frame"].shape == (-1, 3, 32, 32) and inputs["frame"].dtype == "uint8"
    assert declared_inputs(exported.folder / "x.pdmodel") == {}


def test_other_files_say_nothing(tmp_path):
    for text in ("no json", "[]", '{"program": {"regions": []}}', '{"program": 3}'):
        (tmp_path / "a.json").write_text(text)
        assert declared_inputs(tmp_path / "a.json") == {}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_batches_precision_and_the_cache(exported, tmp_path, precision):  # noqa: F811
    """A real configuration, which builds nothing before a predictor is made of it."""
    options = EngineOptions(
        use_tensorrt=True,
        precision=precision,
        tensorrt_max_batch=5,
        tensorrt_cache=tmp_path / "engines" / "mine",
    )
    program = exported.step_files.program
    calls = {}

    class Recorder:
        def __getattr__(self, name):
            return lambda *args, **named: calls.setdefault(name, (args, named))

    tensorrt.use_tensorrt(Recorder(), options, program, declared_inputs(program))
    assert (tmp_path / "engines" / "mine").is_dir()
    assert calls["set_optim_cache_dir"][0] == (str(tmp_path / "engines" / "mine"),)
    engine = calls["enable_tensorrt_engine"][1]
    assert engine["max_batch_size"] == 5 and engine["use_static"]
    assert engine["use_calib_mode"] == (precision == "int8")
    smallest, largest, usual = calls["set_trt_dynamic_shape_info"][0]
    assert smallest["frame"] == usual["frame"] == [1, 3, 32, 32]
    assert largest["frame"] == [5, 3, 32, 32] and set(largest) == set(declared_inputs(program))
    # Paddle's own configuration has all of these, with these names of arguments.
    for name in calls:
        assert hasattr(inference.Config, name)
    for name in engine:
        assert name in inference.Config.enable_tensorrt_engine.__doc__


def test_a_cache_that_cannot_be(exported, tmp_path):  # noqa: F811
    (tmp_path / "file").write_text("")
    options = EngineOptions(use_tensorrt=True, tensorrt_cache=tmp_path / "file" / "cache")
    with pytest.raises(BundleError, match=r"file/cache cannot be made .*--tensorrt_cache"):
        tensorrt.use_tensorrt(None, options, exported.step_files.program, {})


def test_a_build_without_tensorrt():
    if any(inference.get_trt_compile_version()):
        pytest.skip("this Paddle has TensorRT")
    with pytest.raises(DeviceError, match=r"built without TensorRT; use --use_tensorrt=False"):
        tensorrt.check_tensorrt()
