"""Choose the engine of a program, and open it."""

import ctypes
import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from paddlevideo.runtime.engines.base import (
    Engine,
    EngineName,
    EngineOptions,
    ProgramFiles,
    UnsupportedProgramError,
    engine_title,
)
from paddlevideo.runtime.engines.compiled.processor import refusal
from paddlevideo.utils.errors import no_effect
from paddlevideo.utils.packages import is_installed, require_packages

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineEntry:
    """Where an engine is; its module is imported when a program is opened in it.

    Attributes:
        module, kind: the module's name, and that of the class in it: an `Engine`.
        packages: that it needs.
        format: of the files that it reads.
        refusal: why it cannot run on this machine; None if it can.
    """

    module: str
    kind: str
    packages: tuple[str, ...]
    format: str = "onnx"
    refusal: Callable[[], str | None] = lambda: None

    def is_usable(self) -> bool:
        """Whether it can run on this machine, its packages included."""
        return self.is_installed() and self.refusal() is None

    def is_installed(self) -> bool:
        """Whether its packages are there; they are not imported."""
        return all(map(is_installed, self.packages))

    def has_file(self, files: ProgramFiles) -> bool:
        """Whether a program has the files that it reads."""
        return self.format in files.files

    def load(self) -> type[Engine]:
        """Import the engine."""
        if "paddle" in self.packages:
            import_paddle()
        module = importlib.import_module(f"paddlevideo.runtime.engines.{self.module}")
        return cast(type[Engine], vars(module)[self.kind])


# The fastest first, on a CPU (docs/benchmarks.md).
ENGINES: Mapping[EngineName, EngineEntry] = {
    "compiled": EngineEntry(
        "compiled.engine", "CompiledEngine", ("numba", "onnx"), refusal=refusal
    ),
    "onnxruntime": EngineEntry("onnx_runtime", "OnnxRuntimeEngine", ("onnxruntime",)),
    "paddle": EngineEntry("paddle_inference", "PaddleEngine", ("paddle",), format="paddle"),
    "litert": EngineEntry("litert", "LiteRtEngine", ("ai_edge_litert",), format="tflite"),
}


def open_engine(files: ProgramFiles, options: EngineOptions) -> Engine:
    """Open ``files`` in the engine that ``options`` names.

    ``auto`` takes, on a CPU, the first of these that can run the program: the compiled engine and
    ONNX Runtime, where the bundle has an ONNX file and the packages are installed, then Paddle
    Inference; on a GPU, Paddle Inference. That is the order of their speed (docs/benchmarks.md).
    Where the compiled engine has yet to be compiled for this processor the next one answers
    meanwhile (`StandInEngine`).
    With ``products`` other than float32 it is the compiled engine or an error.
    Paddle is imported for its own engine alone, and on a machine with a GPU to ask it.

    Raises:
        BundleError: the bundle has no file for the engine that is asked for, or the engine
            refuses it.
        DeviceError: the engine, the GPU or TensorRT is not there.
        ConfigError: ``products`` would do nothing.
    """
    names = _candidates(files, options)
    if options.products != "float32":  # no other engine, not even for the first frames
        if names[0] != "compiled":
            titles = engine_title("compiled"), engine_title(names[0])
            belongs = "{}, and here {} runs the program".format(*titles)
            raise no_effect(f"products {options.products}", belongs)
        return ENGINES["compiled"].load().open(files, options)
    if len(names) > 1 and names[0] == "compiled":
        from paddlevideo.runtime.engines.compiled.kernel_files import read_kernels

        if not read_kernels():
            return _stand_in(files, replace(options, engine=names[1]))
    *first, last = names
    for name in first:
        try:
            return ENGINES[name].load().open(files, options)
        except UnsupportedProgramError as error:
            logger.debug("%s runs in another engine: %s", files.onnx, error)
    return ENGINES[last].load().open(files, options)


def _stand_in(files: ProgramFiles, options: EngineOptions) -> Engine:
    """The program in the engine of ``options``, and the compiled one behind it when it is there."""
    from paddlevideo.runtime.engines.compile_process import can_start
    from paddlevideo.runtime.engines.compiled.kernel_files import nowhere_to_keep, writable_folder
    from paddlevideo.runtime.engines.stand_in import StandInEngine

    folder, now = writable_folder(), engine_title(options.engine)
    if folder is None:
        logger.warning("%s is used, as %s", now, nowhere_to_keep())
    elif not can_start():
        logger.info("%s is used; `paddlevideo warm-up` makes a faster engine ready", now)
    else:
        logger.info(
            "%s is used while the compiled engine is compiled for this processor, once, in %s",
            now, folder,
        )  # fmt: skip
        return StandInEngine.open(files, options)
    return open_engine(files, options)


def engines_of(files: ProgramFiles) -> list[EngineName]:
    """The engines that can run ``files`` on this machine's CPU, the slowest first."""
    names = [n for n, entry in ENGINES.items() if entry.has_file(files) and entry.is_usable()]
    if "compiled" in names and files.onnx is not None:
        from paddlevideo.runtime.engines.compiled.engine import can_compile

        if not can_compile(files.onnx):
            names.remove("compiled")
    return names[::-1]


def import_paddle() -> None:
    """Import Paddle, and switch off the signal handlers that it sets.

    They print a trace, for which they allocate memory: a SIGTERM that comes inside of free() then
    waits for its lock for ever, and the process can be ended by SIGKILL only (seen).

    Raises:
        DeviceError: it is not installed.
    """
    if "paddle" in sys.modules:
        return
    require_packages("Paddle Inference", "paddle", otherwise="use --engine onnxruntime")
    import paddle

    paddle.disable_signal_handler()


def _candidates(files: ProgramFiles, options: EngineOptions) -> list[EngineName]:
    """The engines to try, in order; at least one."""
    if options.engine != "auto":
        return [options.engine]
    if options.use_tensorrt:
        return ["paddle"]
    names = [name for name, entry in ENGINES.items() if entry.has_file(files)]
    there = [name for name in names if ENGINES[name].is_usable()]
    if not there:
        if names == ["paddle"]:
            what = "a bundle without an ONNX file"
            require_packages(what, "paddle", otherwise="export with --format paddle,onnx")
        return ["onnxruntime"]  # whose message says how to install it
    on_gpu = options.device == "gpu" or (options.device == "auto" and _has_gpu())
    if not on_gpu:
        return there
    # The compiled engine runs on the CPU alone, and Paddle is the faster one on a GPU.
    return ["paddle"] if "paddle" in there else ["onnxruntime"]


def _has_gpu() -> bool:
    """Whether Paddle is there and sees a GPU. It is not imported where there is no GPU's driver."""
    if not (is_installed("paddle") and _has_gpu_driver()):
        return False
    import_paddle()
    from paddlevideo.runtime.engines.paddle_inference import has_gpu

    return has_gpu()


def _has_gpu_driver() -> bool:
    """Whether the library of NVIDIA's driver can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
