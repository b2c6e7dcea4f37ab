"""Compile the compiled engine for this processor ahead, so that no stream has to wait for it.

paddlevideo warm-up
paddlevideo warm-up runs/mine/bundle
paddlevideo warm-up --products bfloat16

What is compiled is the same for every model; bundles are tried in it: one frame of zeros each. It
is kept in the folder PADDLEVIDEO_HOME, by default in the user's cache folder. With --products the
kernels of that option are compiled too, and the bundles run with it.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from paddlevideo.cli.output import say
from paddlevideo.cli.prediction_options import add_products_option
from paddlevideo.utils.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    from paddlevideo.runtime.engines.base import Products

PACKAGES = ("numba", "onnx")

_POLL_SECONDS = 0.2

Result = TypeVar("Result")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo warm-up``."""
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE", help="to be tried in it")
    add_products_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Compile, or say that it has been done; then try the bundles.

    Raises:
        ConfigError: there is no folder to keep it in.
        DeviceError: the compiled engine cannot run on this machine, or has not these products.
        BundleError: the compiled engine does not run a bundle, or a bundle is damaged.
    """
    from paddlevideo.runtime.engines.compiled.kernel_files import (
        KERNELS_OF,
        find_kernels,
        nowhere_to_keep,
        read_kernels,
        writable_folder,
    )
    from paddlevideo.runtime.engines.compiled.processor import refusal

    reason = refusal()
    if reason is not None:
        raise DeviceError(reason)
    parts = KERNELS_OF[arguments.products]
    was_there = all(map(read_kernels, parts))
    if not was_there and writable_folder() is None:
        raise ConfigError(nowhere_to_keep())
    begun = time.perf_counter()
    _with_clock(partial(_load, arguments.products))
    seconds, paths = time.perf_counter() - begun, list(map(find_kernels, parts))
    say(f"{'loaded' if was_there else 'compiled'} in {seconds:.1f} s")
    for path in paths:
        if path is None:
            raise ConfigError(nowhere_to_keep())
        say(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    for bundle in arguments.bundles:
        say(f"{bundle}  {_milliseconds(bundle, arguments.products):.1f} ms a frame, one thread")


def _load(products: "Products") -> None:
    from paddlevideo.runtime.engines.compiled.bfloat_choice import require_bfloat16
    from paddlevideo.runtime.engines.compiled.kernel_loader import bfloat_address, compiled_loop

    if products == "bfloat16":
        require_bfloat16()
    compiled_loop()
    if products == "bfloat16":
        bfloat_address()


def _milliseconds(folder: Path, products: "Products") -> float:
    """Of a step of the bundle, the least of five."""
    import numpy as np

    from paddlevideo.runtime.bundle import read_bundle
    from paddlevideo.runtime.engines import EngineOptions
    from paddlevideo.runtime.streams.step_runner import StepRunner

    options = EngineOptions(device="cpu", cpu_threads=1, engine="compiled", products=products)
    runner = StepRunner(read_bundle(folder), options)
    frame = np.zeros((1, *runner.frame_shape), runner.frame_dtype)
    least = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        runner.step(frame)
        least = min(least, time.perf_counter() - begun)
    return 1e3 * least


def _with_clock(work: Callable[[], Result]) -> Result:
    """Do the work; a terminal shows how long it has taken so far."""
    if not sys.stderr.isatty():
        return work()
    done, begun = threading.Event(), time.perf_counter()

    def show() -> None:
        while not done.wait(_POLL_SECONDS):
            sys.stderr.write(f"\rcompiling: {time.perf_counter() - begun:.0f} s ")
            sys.stderr.flush()

    clock = threading.Thread(target=show, daemon=True)
    clock.start()
    try:
        return work()
    finally:
        done.set()
        clock.join()
        sys.stderr.write("\r" + " " * 24 + "\r")
