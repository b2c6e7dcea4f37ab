"""Runs a program with its operations shared by several threads, however small they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine


@contextmanager
def everything_shared() -> Iterator[None]:
    """Programs that are opened meanwhile share all operations that can be."""
    from paddlevideo.runtime.engines.compiled import stages

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "_LEAST_WORK", 0)
        patch.setattr(stages, "_LEAST_OF_A_THREAD", 1)
        yield


def shared_engine(path: Path, names: Sequence[str], parts: int) -> CompiledEngine:
    """The engine of a file whose operations ``parts`` threads share."""
    with everything_shared():
        options = EngineOptions(device="cpu", cpu_threads=parts, engine="compiled")
        return CompiledEngine(path, names, options)


def run_shared(engine: CompiledEngine, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The results of all streams as one group, whatever their number."""
    if engine._team is None:  # nothing is multiplied in it
        return engine.run(feeds)
    inputs = {name: engine.tensor(array) for name, array in feeds.items()}
    results, first_addresses, batch = engine._bind(inputs)
    engine._team.run(engine._placed(first_addresses, None, 0, batch), batch)
    return {name: engine.array(tensor) for name, tensor in results.items()}
