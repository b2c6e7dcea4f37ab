"""A test frame by frame, as a stream runs; the section TEST."""

from collections.abc import Sequence

import pydantic
from paddle import Tensor

from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.tasks.views import Answer
from paddlevideo.utils.errors import ConfigError


class TestSection(pydantic.BaseModel):
    """TEST: how ``--test`` runs the model."""

    __test__ = False  # no test of pytest's

    model_config = pydantic.ConfigDict(extra="forbid")

    # Give each clip frame by frame, with states in between; for causal networks alone.
    stream: bool = False


def stream_answer(model: Recognizer) -> Answer:
    """Return what runs ``model`` on the frames of a clip, one step each; the last one answers.

    Raises:
        ConfigError: the model does not run frame by frame.
    """
    sizes = [(spec.height, spec.width) for spec in model.input_specs().values()]
    if len(sizes) > 1 or not model.state_specs(*sizes[0]):
        raise ConfigError(
            f"TEST.stream: {model.architecture}, as MODEL describes it, does not run frame by "
            "frame; only a causal network does (a preset of the stream kind). Set stream: false to "
            "test whole clips"
        )

    def answer(clips: Sequence[Tensor]) -> Tensor:
        (clip_BTCHW,) = clips
        batch, num_frames, _, height, width = clip_BTCHW.shape
        states = model.init_states(batch, height, width)
        for index in range(num_frames):
            logits, states = model.step(clip_BTCHW[:, index : index + 1], states)
        return logits

    return answer
