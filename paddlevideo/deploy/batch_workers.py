"""Many files through several processes, each with a predictor of its own."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from paddlevideo.deploy.batch_prediction import VideoFailure, predict_files
from paddlevideo.deploy.bundle import Bundle
from paddlevideo.deploy.engines import EngineOptions
from paddlevideo.deploy.predictor import VideoPredictor, VideoResult, open_predictor
from paddlevideo.utils.errors import DataError

_predictor: list[VideoPredictor] = []  # of a worker process: one, opened when it begins


def predict_with_workers(
    bundle: Bundle,
    options: EngineOptions,
    paths: Sequence[Path],
    batch_size: int,
    top_k: int,
    num_workers: int,
) -> Iterator[VideoResult | VideoFailure]:
    """Yield a result or a failure for every file, in order, by ``num_workers`` processes.

    Each opens the bundle itself. Unless ``options`` says how many, its engine has a fair share of
    the CPU cores.

    Raises:
        DataError: a process died, for instance for want of memory.
    """
    if options.cpu_threads is None:
        options = replace(options, cpu_threads=max(1, (os.cpu_count() or 1) // num_workers))
    groups = [list(paths[start : start + batch_size]) for start in range(0, len(paths), batch_size)]
    # Spawned: Paddle's threads do not survive a fork.
    executor = ProcessPoolExecutor(
        min(num_workers, len(groups)) or 1,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(bundle, options),
    )
    done = 0
    try:
        for results in executor.map(_predict, groups, [top_k] * len(groups)):
            yield from results
            done += len(results)
    except BrokenProcessPool:
        raise DataError(
            f"a worker process died at or after {paths[done]} (out of memory?); with --output the "
            "same command goes on from there, and fewer --workers need less memory"
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _begin(bundle: Bundle, options: EngineOptions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to handle
    _predictor.append(open_predictor(bundle, options))


def _predict(paths: list[Path], top_k: int) -> list[VideoResult | VideoFailure]:
    return list(predict_files(_predictor[0], paths, len(paths), top_k))
