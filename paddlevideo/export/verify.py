"""Prove that an exported bundle computes what was trained, on random video."""

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import paddle
from paddle import nn

from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions, engines_of, open_engine
from paddlevideo.runtime.engines.base import EngineName
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4  # of the largest logit
HALF_TOLERANCE = 1e-2  # of the logits' spread, for weights stored as float16
_UNEVEN_SPLIT = (1, 3, 2, 5)
_SMALL_CLIP = 10_000_000  # pixels; of larger ones one is enough for the memory of most machines


@dataclass(frozen=True)
class Difference:
    """How far two ways of computing the same logits are apart.

    Attributes:
        largest: as a share of the largest logit, or of the logits' spread (the largest less the
            smallest) where weights are stored as float16.
    """

    what: str
    largest: float


def verify_bundle(model: nn.Layer, bundle: Bundle, seed: int = 0) -> list[Difference]:
    """Compare the model with each program of ``bundle`` in each engine that it has a file for.

    Stream bundles also: the model stepped in uneven splits, and the step program frame by frame
    to the last one, against the model on the whole clip.

    Args:
        model: what was exported.
        seed: of the video.

    Returns:
        What was compared.

    Raises:
        BundleError: a difference is above `TOLERANCE` (`HALF_TOLERANCE` for a bundle of float16
            weights); all are logged.
    """
    was_training = model.training
    model.eval()
    try:
        with paddle.no_grad():
            found = list(_differences(model, bundle, np.random.default_rng(seed)))
    finally:
        if was_training:
            model.train()
    for item in found:
        logger.info("verified: %s: largest difference %.1e", item.what, item.largest)
    half = bundle.manifest.precision == "fp16"
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    wrong = [item for item in found if not item.largest <= tolerance]  # not a number is wrong too
    if wrong:
        shown = "; ".join(f"{item.what}: {item.largest:.1e}" for item in wrong)
        raise BundleError(
            f"the exported program does not compute what the model does (differences above "
            f"{tolerance:.0e} of the {'logits spread' if half else 'largest logit'}): {shown}"
        )
    return found


def _differences(model: nn.Layer, bundle: Bundle, rng: np.random.Generator) -> Iterator[Difference]:
    in_spreads = bundle.manifest.precision == "fp16"
    clips = _random_clips(bundle, rng)
    expected = model(*[paddle.to_tensor(clip) for clip in clips.values()]).numpy()
    for name in engines_of(bundle.clip_files):
        outputs = open_engine(bundle.clip_files, _options(name)).run(clips)
        what = f"clip program in {name}, model"
        yield _difference(what, outputs["logits"], expected, in_spreads)
    step = bundle.manifest.step
    if step is None:
        return
    (clip,) = clips.values()
    yield _difference("model in uneven steps, model", _in_uneven_steps(model, clip), expected)
    for name in engines_of(bundle.step_files):
        runner = StepRunner(bundle, _options(name), len(clip))
        for frame in range(clip.shape[1]):
            logits = runner.step(np.ascontiguousarray(clip[:, frame]))
        what = f"step program in {name}, model on the clip"
        yield _difference(what, logits, expected, in_spreads)


def _random_clips(bundle: Bundle, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    clips = {}
    for spec in bundle.manifest.inputs:
        rows = spec.shape[0]
        if rows < 0:
            rows = 2 if math.prod(spec.shape[1:]) <= _SMALL_CLIP else 1
        shape = (rows, *spec.shape[1:])
        if spec.dtype == "uint8":
            clips[spec.name] = rng.integers(0, 256, shape, np.uint8)
        else:  # what a Normalization step makes of pixels
            clips[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
    return clips


def _in_uneven_steps(model: nn.Layer, clip_BTCHW: np.ndarray) -> np.ndarray:
    batch, frames, _, height, width = clip_BTCHW.shape
    states, done = model.init_states(batch, height, width), 0
    for length in cycle(_UNEVEN_SPLIT):
        logits, states = model.step(paddle.to_tensor(clip_BTCHW[:, done : done + length]), states)
        done += length
        if done >= frames:
            return logits.numpy()
    raise AssertionError("a split without an end")


def _options(name: EngineName) -> EngineOptions:
    return EngineOptions(device="cpu", engine=name)


def _difference(
    what: str, ours: np.ndarray, expected: np.ndarray, in_spreads: bool = False
) -> Difference:
    scale = np.ptp(expected) if in_spreads else np.abs(expected).max()
    return Difference(what, float(np.abs(ours - expected).max() / scale))
