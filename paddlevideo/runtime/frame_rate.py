"""The frame rate of a stream: that of the clips the model was trained on."""

import logging
import math
from dataclasses import dataclass

from paddlevideo.utils.errors import ConfigError
from paddlevideo.video import FrameSampler

logger = logging.getLogger(__name__)

_HOW_TO_STATE = (
    "state the rate by --frame_rate, or train and test with StridedSampler and stride_fps"
)


@dataclass(frozen=True)
class RateSources:
    """What may tell the frame rate of a stream, in the order in which it is asked.

    Attributes:
        stated: frames per second that the user states.
        inference: sampler of the pipeline that is exported.
        training: sampler of the training pipeline; None where it is not known.
        native: frames per second that the network was made for.
    """

    stated: float | None
    inference: FrameSampler
    training: FrameSampler | None
    native: float


def stream_frame_rate(sources: RateSources) -> float:
    """Return the frames per second of the exported stream; the log says where they are from.

    Warns where nothing tells the rate, and where training saw another one.

    Raises:
        ConfigError: the stated rate is not a number above 0.
    """
    stated, trained = sources.stated, sources.training
    if stated is not None:
        if not 0 < stated < math.inf:
            raise ConfigError(f"--frame_rate {stated:g}: expected a number above 0")
        _note(stated, "--frame_rate")
        _warn_of_other_training(stated, trained or sources.inference)
        return stated
    rate = sources.inference.frame_rate
    if rate is not None:
        _note(rate, f"the exported pipeline's {_name(sources.inference)}")
        if trained is not None:
            _warn_of_other_training(rate, trained, or_none=True)
        return rate
    rate = None if trained is None else trained.frame_rate
    if trained is not None and rate is not None:
        _note(rate, f"the training pipeline's {_name(trained)}")
        logger.warning(
            "the exported pipeline's %s has no frame rate of its own: its clips show a video at "
            "another rate than the stream of %g frames/s; give it the sampler of training",
            _name(sources.inference),
            rate,
        )
        return rate
    logger.warning(
        "the frame rate of the stream is not known: %s has none of its own. %g frames/s are "
        "taken, which the network was made for and which may not be what it was trained on; %s",
        _name(sources.inference),
        sources.native,
        _HOW_TO_STATE,
    )
    return sources.native


def _note(rate: float, source: str) -> None:
    logger.info("the stream has %g frames/s, from %s", rate, source)


def _name(sampler: FrameSampler) -> str:
    return type(sampler).__name__


def _warn_of_other_training(
    rate: float, trained: FrameSampler | None, or_none: bool = False
) -> None:
    """Warn if ``rate`` is not among those of training; ``or_none``: if it has none, too."""
    if trained is None:
        return
    drawn = trained.trained_rates
    if drawn is None:
        if or_none:
            logger.warning(
                "the stream has %g frames/s, but training's %s has no frame rate of its own; %s",
                rate,
                _name(trained),
                _HOW_TO_STATE,
            )
        return
    lowest, highest = drawn
    if lowest * 0.999 <= rate <= highest * 1.001:
        return
    span = f"{lowest:g}" if lowest == highest else f"{lowest:g} to {highest:g}"
    logger.warning(
        "the stream has %g frames/s, but the model was trained on clips of %s; let PIPELINE.train "
        "and PIPELINE.test (or INFERENCE) agree on stride_fps / stride, or state --frame_rate",
        rate,
        span,
    )
