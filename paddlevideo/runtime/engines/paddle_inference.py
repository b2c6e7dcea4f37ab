"""Paddle Inference: CPU with or without oneDNN, GPU, TensorRT."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle import inference

from paddlevideo.runtime.engines.base import (
    Engine,
    EngineName,
    EngineOptions,
    EngineTensor,
    ProgramFiles,
    check_outputs,
    the_file,
)
from paddlevideo.runtime.engines.paddle_program import declared_inputs
from paddlevideo.runtime.engines.tensorrt import check_tensorrt, use_tensorrt
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.errors import BundleError, DeviceError

logger = logging.getLogger(__name__)


class PaddleEngine(Engine):
    """A program of ``paddle.jit.save`` in Paddle Inference.

    Args:
        program, params: the files.
        output_names: our names of the outputs, in the program's order.

    Attributes:
        declared: shape and dtype of each input, where the program file says them.

    Raises:
        BundleError: the engine refuses the files, or they have another number of outputs.
        DeviceError: a GPU or TensorRT is asked for and not there.
    """

    name: EngineName = "paddle"
    max_batch_per_thread = 8
    thread_safe = False

    def __init__(
        self, program: Path, params: Path, output_names: Sequence[str], options: EngineOptions
    ) -> None:
        for path in (program, params):
            if not path.is_file():
                raise BundleError(f"{path} is missing; export the model again")
        config = inference.Config(str(program), str(params))
        config.disable_glog_info()
        config.switch_ir_optim(options.ir_optim)
        self._place = paddle.CPUPlace()
        self.declared = declared_inputs(program)
        if _use_gpu(options):
            config.enable_use_gpu(options.gpu_memory_mb, 0)
            if options.use_tensorrt:
                use_tensorrt(config, options, program, self.declared)
            self._place = paddle.CUDAPlace(0)
        else:
            _configure_cpu(config, options)
        try:
            self._predictor = inference.create_predictor(config)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"{program}: Paddle Inference refuses it: {error}") from None
        self._program = program
        self._output_names = list(output_names)
        check_outputs(program, len(self._predictor.get_output_names()), output_names)

    @classmethod
    def open(cls, files: ProgramFiles, options: EngineOptions) -> "PaddleEngine":
        """As `Engine.open`."""
        program = the_file(files.program, "paddle", files.onnx)
        params = the_file(files.params, "paddle", files.onnx)
        return cls(program, params, files.outputs, options)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Copy the inputs in, run, copy the outputs out.

        Raises:
            BundleError: the program is for inputs of another size or dtype.
        """
        given = ", ".join(f"{k} {list(v.shape)} {v.dtype}" for k, v in inputs.items())
        for name in self._predictor.get_input_names():
            declared = self.declared.get(name)
            if declared is not None and not declared.fits(inputs[name]):
                raise BundleError(
                    f"{self._program} cannot run on {given}: its input {name} is "
                    f"{list(declared.shape)} {declared.dtype}"
                )
            handle = self._predictor.get_input_handle(name)
            handle.copy_from_cpu(np.ascontiguousarray(inputs[name]))
        try:
            self._predictor.run()
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"{self._program} cannot run on {given}: {error}") from None
        raw = self._predictor.get_output_names()
        return {
            ours: self._predictor.get_output_handle(theirs).copy_to_cpu()
            for ours, theirs in zip(self._output_names, raw, strict=True)
        }

    def run_tensors(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        """The same for Paddle's tensors.

        The predictor writes the next run's outputs over this one's, so they are copied.
        """
        given = [inputs[name] for name in self._predictor.get_input_names()]
        try:
            outputs = self._predictor.run(given)
        except (RuntimeError, ValueError) as error:
            shapes = ", ".join(f"{k} {v.shape} {v.dtype}" for k, v in inputs.items())
            raise BundleError(f"{self._program} cannot run on {shapes}: {error}") from None
        return {
            name: output.clone() for name, output in zip(self._output_names, outputs, strict=True)
        }

    def tensor(self, array: np.ndarray) -> EngineTensor:
        """The array as Paddle's tensor, where the predictor runs."""
        return paddle.to_tensor(array, place=self._place)

    def array(self, tensor: EngineTensor) -> np.ndarray:
        """A copy of Paddle's tensor."""
        return tensor.numpy()

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        return list(self._predictor.get_input_names())


def has_gpu() -> bool:
    """Whether this Paddle can use a GPU."""
    return paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0


def _use_gpu(options: EngineOptions) -> bool:
    found = has_gpu()
    if options.device == "gpu" and not found:
        raise DeviceError(
            "a GPU was asked for, but this Paddle sees none; use --use_gpu=False, or install the "
            "GPU build of Paddle (README, On a GPU)"
        )
    if options.use_tensorrt and (options.device == "cpu" or not found):
        raise DeviceError(
            "TensorRT needs a GPU and a GPU build of Paddle; use --use_tensorrt=False"
        )
    if options.use_tensorrt:
        check_tensorrt()
    return found and options.device != "cpu"


def _configure_cpu(config: inference.Config, options: EngineOptions) -> None:
    config.disable_gpu()
    config.set_cpu_math_library_num_threads(options.cpu_threads or available_cores())
    if options.onednn:
        config.enable_mkldnn()
        # With oneDNN Paddle 3.3 lets an operation write over its input although the input is
        # used again: concat([x.cumsum(), x]) of a causal network comes out wrong.
        config.delete_pass("inplace_pass")
    else:
        config.disable_mkldnn()
