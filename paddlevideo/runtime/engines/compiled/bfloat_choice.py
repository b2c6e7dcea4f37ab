"""Whether a program can have products of bfloat16, and how far that moves its answers."""

import logging
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from paddlevideo.runtime.engines.base import ClipEngine
from paddlevideo.runtime.engines.compiled.bfloat16 import with_bfloat16
from paddlevideo.runtime.engines.compiled.host import host
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram
from paddlevideo.utils.errors import DeviceError, no_effect

logger = logging.getLogger(__name__)

_FRAMES = 4  # of a step program; the program of clips has those of a clip

Inputs = Sequence[tuple[str, tuple[int, ...], np.dtype]]


def in_bfloat16(program: CompiledProgram, path: Path) -> CompiledProgram:
    """The program with its matrix products in bfloat16.

    Raises:
        ConfigError: it has none, or computes on 8 bits.
        DeviceError: the processor has no such products.
    """
    if program.ranges:
        raise no_effect("products bfloat16", f"float bundles, and {path} computes on 8 bits")
    require_bfloat16()
    changed = with_bfloat16(program)
    products = [each for item in changed.operations for each in (item, item.expand) if each]
    if all(each.products == "float32" for each in products):
        raise no_effect("products bfloat16", f"programs with matrix products, and {path} has none")
    return changed


def require_bfloat16() -> None:
    """Raise `DeviceError` unless the processor has products of bfloat16."""
    if not host().bfloat16:
        raise DeviceError(
            "products of bfloat16 are written for processors with AVX512-BF16 (AMD's since Zen 4, "
            "Intel's Xeon since Sapphire Rapids), and this is none; leave --products out"
        )


def say_difference(
    plain: ClipEngine, changed: ClipEngine, inputs: Inputs, pictures: Set[str]
) -> None:
    """Say how far two engines' first outputs, the logits, are apart on frames of noise.

    Args:
        inputs: name, shape of one stream and dtype of each; states are zeros.
        pictures: those that are frames, or a clip.
    """
    is_clip = any(len(shape) > 3 for _, shape, _ in inputs)
    feeds = noise(inputs, pictures, 1 if is_clip else _FRAMES)
    one, other = (next(iter(engine.run(feeds).values())) for engine in (plain, changed))
    apart, spread = np.abs(other - one), float(np.ptp(one)) or 1.0
    logger.info(
        "matrix products in bfloat16: logits differ from those of float32 by %.4f of their spread "
        "at most, %.4f on average, on %s of noise",
        float(apart.max()) / spread, float(apart.mean()) / spread,
        "a clip" if is_clip else f"{_FRAMES} frames",
    )  # fmt: skip


def noise(inputs: Inputs, pictures: Set[str], batch: int) -> Mapping[str, np.ndarray]:
    """Random pixels in the pictures, zeros in all else; always the same."""
    rng = np.random.default_rng(0)
    feeds: dict[str, np.ndarray] = {}
    for name, shape, dtype in inputs:
        if name not in pictures:
            feeds[name] = np.zeros((batch, *shape), dtype)
        elif dtype == np.uint8:
            feeds[name] = rng.integers(0, 256, (batch, *shape), np.uint8)
        else:
            feeds[name] = rng.random((batch, *shape), np.float32).astype(dtype)
    return feeds
