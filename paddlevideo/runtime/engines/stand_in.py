"""An engine that answers until the compiled engine has been compiled for this processor."""

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from paddlevideo.runtime.engines.base import (
    DeclaredInput,
    Engine,
    EngineName,
    EngineOptions,
    EngineTensor,
    ProgramFiles,
    UnsupportedProgramError,
    engine_title,
    the_file,
)
from paddlevideo.runtime.engines.compile_process import CompileProcess, compile_process
from paddlevideo.utils.errors import PaddleVideoError

logger = logging.getLogger(__name__)

_LAST_SECONDS = 10.0


class StandInEngine(Engine):
    """Runs ``engine``; `successor` gives the compiled engine from the moment on that it is there.

    Args:
        engine: that answers meanwhile. Tensors are its own.
        open_compiled: opens the same program in the compiled engine, once there are kernels.
        process: gives the process that compiles, again if that was for another program.
    """

    def __init__(
        self,
        engine: Engine,
        open_compiled: Callable[[], Engine],
        process: Callable[[], CompileProcess],
    ) -> None:
        self._engine = engine
        self.name: EngineName = engine.name
        self.max_batch_per_thread = engine.max_batch_per_thread
        self.thread_safe = engine.thread_safe
        self.declared: Mapping[str, DeclaredInput] = engine.declared
        self._successor: Engine | None = None
        self._taken = threading.Lock()  # held for ever from the first time that it is taken
        _Waiting(self, process, open_compiled).start()

    @classmethod
    def open(cls, files: ProgramFiles, options: EngineOptions) -> "StandInEngine":
        """As `Engine.open`, in the engine that ``options`` names."""
        from paddlevideo.runtime.engines.open_engine import open_engine

        program = the_file(files.onnx, "compiled", files.program)
        compiled = replace(options, engine="compiled")
        engine = open_engine(files, options)
        return cls(engine, partial(open_engine, files, compiled), partial(compile_process, program))

    def successor(self) -> Engine | None:
        """As `Engine.successor`."""
        if self._successor is not None and self._taken.acquire(blocking=False):
            logger.info(
                "%s answers from here on, in place of %s",
                engine_title(self._successor.name), engine_title(self.name),
            )  # fmt: skip
        return self._successor

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        return self._engine.input_names

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As `ClipEngine.run`, in the compiled engine where it is there."""
        return (self.successor() or self._engine).run(inputs)

    def run_tensors(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        """As `Engine.run_tensors`, in the engine that stands in: tensors are of one engine."""
        return self._engine.run_tensors(inputs)

    def tensor(self, array: np.ndarray) -> EngineTensor:
        """A tensor of the engine that stands in."""
        return self._engine.tensor(array)

    def array(self, tensor: EngineTensor) -> np.ndarray:
        """A copy of its tensor."""
        return self._engine.array(tensor)

    def take_over(self, successor: Engine) -> None:
        """Let the compiled engine go on, from the next frame of each stream on."""
        self._successor = successor


class _Waiting:
    """Waits for the kernels and opens the compiled engine, in a thread that holds up nobody."""

    def __init__(
        self,
        engine: StandInEngine,
        process: Callable[[], CompileProcess],
        open_compiled: Callable[[], Engine],
    ) -> None:
        self._engine = weakref.ref(engine)  # one that nobody uses any more waits for nothing
        self._process, self._open = process, open_compiled
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        # A thread that loads machine code while the interpreter ends can take it down.
        atexit.register(self._end)
        self._thread.start()

    def _end(self) -> None:
        self._ending.set()
        self._thread.join(_LAST_SECONDS)

    def _is_unwanted(self) -> bool:
        return self._ending.is_set() or self._engine() is None

    def _run(self) -> None:
        try:
            self._wait_and_open()
        finally:
            atexit.unregister(self._end)

    def _wait_and_open(self) -> None:
        process = self._process()
        is_there = process.wait(self._is_unwanted)
        while process.is_unsupported and self._process() is not process:
            process = self._process()
            is_there = process.wait(self._is_unwanted)
        if not is_there:
            if not self._is_unwanted():
                process.say_failure()
            return
        try:
            opened = self._open()
        except UnsupportedProgramError as error:
            logger.debug("it stays with its engine: %s", error)
            return
        except PaddleVideoError as error:
            logger.warning("the compiled engine cannot go on, %s", error)
            return
        engine = self._engine()
        if engine is not None:
            engine.take_over(opened)
