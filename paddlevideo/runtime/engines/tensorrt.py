"""TensorRT under Paddle Inference: shapes, precision, and a folder for the engines it builds.

Written to Paddle's documentation of `paddle.inference.Config`; it has not been run by us.
"""

from collections.abc import Mapping
from pathlib import Path

from paddle import inference

from paddlevideo.runtime.engines.base import DeclaredInput, EngineOptions
from paddlevideo.utils.errors import BundleError, DeviceError

_PRECISIONS = {
    "fp32": inference.PrecisionType.Float32,
    "fp16": inference.PrecisionType.Half,
    "int8": inference.PrecisionType.Int8,
}
_WORKSPACE_BYTES = 1 << 30
_SMALLEST_SUBGRAPH = 3


def check_tensorrt() -> None:
    """Raise `DeviceError` where this build of Paddle has no TensorRT."""
    if not any(inference.get_trt_compile_version()):
        raise DeviceError(
            "this Paddle was built without TensorRT; use --use_tensorrt=False, or install a GPU "
            "build with it (README, On a GPU)"
        )


def use_tensorrt(
    config: inference.Config,
    options: EngineOptions,
    program: Path,
    inputs: Mapping[str, DeclaredInput],
) -> None:
    """Let TensorRT run what it can of a program.

    The batch is what may vary: from one to ``options.tensorrt_max_batch``. Shapes inside are found
    in the first runs. Built engines, which take minutes, are kept in ``options.tensorrt_cache``.

    Args:
        config: `paddle.inference.Config` with the GPU chosen.
        program: the program's file; the cache lies beside it where the options name none.
        inputs: of the program; empty where the file does not say them.

    Raises:
        BundleError: the cache's folder cannot be made.
    """
    cache = options.tensorrt_cache or program.parent / "tensorrt_cache"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(
            f"{cache} cannot be made for TensorRT's engines ({error.strerror}); name another "
            "folder: --tensorrt_cache"
        ) from None
    config.set_optim_cache_dir(str(cache))
    config.enable_tensorrt_engine(
        workspace_size=_WORKSPACE_BYTES,
        max_batch_size=options.tensorrt_max_batch,
        min_subgraph_size=_SMALLEST_SUBGRAPH,
        precision_mode=_PRECISIONS[options.precision],
        use_static=True,
        use_calib_mode=options.precision == "int8",
    )
    if not inputs:
        return
    largest = options.tensorrt_max_batch
    config.set_trt_dynamic_shape_info(
        _shapes(inputs, 1), _shapes(inputs, largest), _shapes(inputs, 1)
    )
    config.enable_tuned_tensorrt_dynamic_shape()


def _shapes(inputs: Mapping[str, DeclaredInput], batch: int) -> dict[str, list[int]]:
    return {
        name: [batch if size < 0 else size for size in declared.shape]
        for name, declared in inputs.items()
    }
