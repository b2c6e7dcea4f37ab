"""Many files through several processes, each with a predictor of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from paddlevideo.apps.bulk.prediction import VideoFailure, predict_files
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import VideoPredictor, VideoResult, open_predictor
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.crew import CrewOptions, Died, Work, for_each_file

PredictorFactory = Callable[[Bundle, EngineOptions], VideoPredictor]

# Opening a bundle takes seconds, compiling it for the first time a minute on a busy machine.
_START_SECONDS = 600.0
# The network's own time for a batch, beside that of reading the files.
_GRACE_SECONDS = 300.0


def predict_with_workers(
    bundle: Bundle,
    options: EngineOptions,
    paths: Sequence[Path],
    batch_size: int,
    top_k: int,
    num_workers: int,
    factory: PredictorFactory = open_predictor,
) -> Iterator[VideoResult | VideoFailure]:
    """Yield a result or a failure for every file, in order, by ``num_workers`` processes.

    Each opens the bundle itself. Unless ``options`` says how many, its engine has a fair share of
    the CPU cores. What happens to a process that dies: `for_each_file`.

    Args:
        factory: opens the bundle, in the worker.

    Raises:
        PaddleVideoError: as a worker met it when it opened the bundle.
        DataError: a process died before it had opened the bundle.
    """
    if options.cpu_threads is None:
        options = replace(options, cpu_threads=max(1, available_cores() // num_workers))
    crew = CrewOptions(
        num_workers, batch_size, _START_SECONDS, _GRACE_SECONDS, opening="opened the model"
    )
    start = partial(_start, bundle, options, top_k, factory)
    done: dict[int, VideoResult | VideoFailure] = {}
    next_index = 0
    for index, result in for_each_file(start, paths, crew):
        path = paths[index]
        if isinstance(result, Died):
            result = VideoFailure(str(path), f"{path}: {result.reason}")
        done[index] = result
        while next_index in done:
            yield done.pop(next_index)
            next_index += 1


def _start(
    bundle: Bundle, options: EngineOptions, top_k: int, factory: PredictorFactory
) -> Work[VideoResult | VideoFailure]:
    """In a worker process."""
    predictor = factory(bundle, options)

    def work(paths: Sequence[Path]) -> Sequence[VideoResult | VideoFailure]:
        return list(predict_files(predictor, paths, len(paths), top_k))

    return work
