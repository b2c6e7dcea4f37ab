"""Prediction with an exported model: of files, or frame by frame of a stream."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from paddlevideo.apps.bulk.prediction import VideoFailure, find_videos, predict_files
from paddlevideo.apps.bulk.results import ResultFile
from paddlevideo.cli.follow_stream import check_visualization_options, run_stream
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.base import DeviceName
from paddlevideo.runtime.locate import locate_bundle
from paddlevideo.runtime.predictor import VideoResult, open_predictor
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.memory import keep_freed_memory
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.packages import TRAINING, require_packages


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """How the bundle's programs are to be run."""
    devices: dict[bool | None, DeviceName] = {None: "auto", True: "gpu", False: "cpu"}
    return EngineOptions(
        device=devices[arguments.use_gpu],
        cpu_threads=arguments.cpu_threads,
        onednn=arguments.enable_mkldnn,
        ir_optim=arguments.ir_optim,
        gpu_memory_mb=arguments.gpu_mem,
        use_tensorrt=arguments.use_tensorrt,
        precision=arguments.precision,
        engine=arguments.engine,
        tensorrt_max_batch=arguments.tensorrt_max_batch,
        tensorrt_cache=arguments.tensorrt_cache,
        products=arguments.products,
    )


def show(result: VideoResult, write: Callable[[str], None]) -> None:
    """PaddleVideo's lines, and the label where it is known.

    Args:
        write: takes the text and ends the line.
    """
    lines = [f"Current video file: {result.path}"]
    if result.frames_lost:
        lines.append(f"\tframes read: {result.frames_read}, lost: {result.frames_lost}")
    for rank, item in enumerate(result.top, start=1):
        lines.append(f"\ttop-{rank} class: {item.index}")
        lines.append(f"\ttop-{rank} score: {item.score}")
        if item.label is not None:
            lines.append(f"\ttop-{rank} label: {item.label}")
    write("\n".join(lines))


def open_bundle(arguments: argparse.Namespace) -> Bundle:
    """The bundle that the options name."""
    pipeline = _pipeline_of(arguments.config) if arguments.config else None
    return locate_bundle(arguments.model_dir, arguments.model_file, arguments.params_file, pipeline)


def _pipeline_of(config: str) -> Node:
    """The pipeline of a config, for programs without ``inference.yml``."""
    require_packages("--config", *TRAINING, otherwise="leave it out where there is inference.yml")
    from paddlevideo.apps.recipes import open_recipe

    return open_recipe(config).inference_description()


def predicted(
    bundle: Bundle, paths: list[Path], arguments: argparse.Namespace
) -> Iterator[VideoResult | VideoFailure]:
    """Results and failures in the order of ``paths``, by one process or several."""
    options = engine_options(arguments)
    if not paths:
        return iter(())
    if arguments.workers > 1 and len(paths) > 1:
        from paddlevideo.apps.bulk.workers import predict_with_workers

        return predict_with_workers(
            bundle, options, paths, arguments.batch_size, arguments.top_k, arguments.workers
        )
    predictor = open_predictor(bundle, options)
    return predict_files(predictor, paths, arguments.batch_size, arguments.top_k)


def predict_all(arguments: argparse.Namespace) -> None:
    """Classify the files, go on past those that cannot be read, and tell of them at the end."""
    from tqdm import tqdm

    paths = find_videos(arguments.input_file)
    bundle = open_bundle(arguments)
    failures = []
    result_file = (
        ResultFile(arguments.output, arguments.top_k, bundle.digest()) if arguments.output else None
    )
    with result_file or nullcontext():
        paths = result_file.remaining(paths) if result_file else paths
        results = predicted(bundle, paths, arguments)
        for result in tqdm(results, total=len(paths), disable=len(paths) < 2 or None, leave=False):
            if result_file is not None:
                result_file.write(result)
            if isinstance(result, VideoFailure):
                failures.append(result)
            else:
                show(result, tqdm.write)
    if failures:
        reasons = "\n  ".join(failure.reason for failure in failures)
        raise DataError(f"{len(failures)} of {len(paths)} files could not be read:\n  {reasons}")


def predict(arguments: argparse.Namespace) -> None:
    """Classify files or follow a stream, as the options ask."""
    keep_freed_memory()
    if arguments.stream:
        run_stream(
            lambda: open_predictor(open_bundle(arguments), engine_options(arguments)), arguments
        )
    else:
        check_visualization_options(arguments)
        predict_all(arguments)
