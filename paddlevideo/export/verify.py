"""Prove that an exported bundle computes what was trained: both are held against the reference."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import paddle

from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.modeling.layers.rounding import is_on, quantization_of
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.manifest import ReferenceFile, TensorSpec
from paddlevideo.runtime.proof import Difference, program_differences, require_equal, share
from paddlevideo.runtime.reference import (
    NUM_STEPS,
    REFERENCE_NAME,
    Reference,
    read_reference,
    unanswered,
)

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4  # of the largest logit
HALF_TOLERANCE = 1e-2  # of the logits' spread, for weights stored as float16
# Of the logits' spread, for networks that round to 8 bits: sums in another order are rounded to the
# next step here and there, and what follows with them.
ROUNDED_TOLERANCE = 5e-2
_UNEVEN_SPLIT = (1, 3, 2, 5)


@contextlib.contextmanager
def evaluating(model: Recognizer) -> Iterator[None]:
    """Let a model be in evaluation mode, without gradients; it gets back the mode it had."""
    was_training = model.training
    model.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        if was_training:
            model.train()


def reference_file(precision: str, model: Recognizer) -> ReferenceFile:
    """What the manifest says of a model's own answers, for programs of this precision."""
    if is_on(quantization_of(model)):
        return ReferenceFile(REFERENCE_NAME, ROUNDED_TOLERANCE, "spread")
    if precision == "fp16":
        return ReferenceFile(REFERENCE_NAME, HALF_TOLERANCE, "spread")
    return ReferenceFile(REFERENCE_NAME, TOLERANCE, "largest")


def answered_by(model: Recognizer, inputs: Sequence[TensorSpec], in_steps: bool) -> Reference:
    """The reference of a model: its answers to the clips, and to their first frames.

    Args:
        model: in evaluation mode.
        inputs: of the clip program.
        in_steps: it runs frame by frame, too.
    """
    asked = unanswered(inputs)
    clips = asked.clips()
    logits = model(*[paddle.to_tensor(clip) for clip in clips.values()]).numpy()
    if not in_steps:
        return replace(asked, clip_logits=logits)
    (clip,) = clips.values()
    frames = clip[:, :NUM_STEPS]
    steps = np.stack(list(_in_steps(model, frames, [1] * frames.shape[1])))
    return replace(asked, clip_logits=logits, step_logits=steps)


def verify_bundle(model: Recognizer, bundle: Bundle) -> list[Difference]:
    """Compare the bundle's reference with the model, and with each program in each engine.

    The model is run on the whole clips, and stepped through them in uneven splits if the bundle
    is one of streams.

    Args:
        model: what was exported.

    Returns:
        What was compared.

    Raises:
        BundleError: a difference is above `TOLERANCE` (of programs, the one that the bundle
            states); all are logged.
    """
    reference = read_reference(bundle)
    with evaluating(model):
        own = list(_model_differences(model, bundle, reference))
    programs = list(program_differences(bundle, reference))
    for item in (*own, *programs):
        logger.info("verified: %s: largest difference %.1e", item.what, item.largest)
    require_equal(own, reference_file("fp32", model))
    require_equal(programs, bundle.manifest.reference)
    return own + programs


def _model_differences(
    model: Recognizer, bundle: Bundle, reference: Reference
) -> Iterator[Difference]:
    clips, expected = reference.clips(), reference.clip_logits
    logits = model(*[paddle.to_tensor(clip) for clip in clips.values()]).numpy()
    in_spreads = reference_file("fp32", model).of == "spread"
    yield Difference("model, reference", share(logits, expected, in_spreads))
    if bundle.manifest.step is None:
        return
    (clip,) = clips.values()
    *_, logits = _in_steps(model, clip, _UNEVEN_SPLIT)
    yield Difference("model in uneven steps, reference", share(logits, expected, in_spreads))


def _in_steps(
    model: Recognizer, clip_BTCHW: np.ndarray, lengths: Sequence[int]
) -> Iterator[np.ndarray]:
    """Logits [B, N] behind each of the steps; ``lengths`` begin anew where they end."""
    batch, frames, _, height, width = clip_BTCHW.shape
    states, done = model.init_states(batch, height, width), 0
    for length in cycle(lengths):
        logits, states = model.step(paddle.to_tensor(clip_BTCHW[:, done : done + length]), states)
        yield logits.numpy()
        done += length
        if done >= frames:
            return
