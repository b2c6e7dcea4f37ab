"""Recognizers as static programs on the disk: one of a whole clip, one of a single frame."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor, nn

from paddlevideo.export.half_weights import HalfWeights
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.runtime.bundle import StateQueue, TensorSpec


class _ClipProgram(nn.Layer):
    """Clips in, logits out: the part of a recognizer that is exported.

    Run as it is: the control flow of a recognizer does not depend on values, and Paddle's rewriting
    of every layer's source takes ten times as long as the export itself.
    """

    def __init__(self, model: nn.Layer) -> None:
        super().__init__()
        self.model = model

    @paddle.jit.not_to_static
    def forward(self, clips: list[Tensor]) -> Tensor:
        return self.model(*clips)  # one list: Paddle cannot trace a function of any arguments


class _StepProgram(nn.Layer):
    """A frame and a list of states in, logits and the new states out."""

    def __init__(self, program: nn.Layer) -> None:
        super().__init__()
        self.program = program

    @paddle.jit.not_to_static
    def forward(self, frame_BCHW: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        return self.program(frame_BCHW, *states)


def save_clip_program(
    model: Recognizer, inputs: Sequence[TensorSpec], path: Path, half: bool = False
) -> None:
    """Trace the model in evaluation mode and write it; the model keeps the mode it had.

    What is written is the model's `clip_program` for clips of this size.

    Args:
        path: without the ending; ``.json`` and ``.pdiparams`` are written.
        half: store the weights as float16.
    """
    was_training = model.training
    model.eval()
    sizes = [(spec.shape[1], spec.shape[3], spec.shape[4]) for spec in inputs]
    program = model.clip_program(*sizes).eval()
    try:
        _save(
            _ClipProgram(HalfWeights(program) if half else program),
            [[_input_spec(spec) for spec in inputs]],
            path,
        )
    finally:
        if was_training:
            model.train()


def save_step_program(
    program: nn.Layer,
    frame: TensorSpec,
    queues: Sequence[StateQueue],
    path: Path,
    half: bool = False,
) -> None:
    """Write a recognizer's ``step_program``.

    Args:
        path: without the ending; ``.json`` and ``.pdiparams`` are written.
        half: store the weights as float16.
    """
    states = [
        paddle.static.InputSpec(list(queue.shape), queue.dtype, name)
        for queue in queues
        for name in queue.inputs
    ]
    program.eval()
    _save(
        _StepProgram(HalfWeights(program) if half else program), [_input_spec(frame), states], path
    )


def _save(layer: nn.Layer, input_spec: list[Any], path: Path) -> None:
    with warnings.catch_warnings():
        # Paddle's own code asks a tensor of the program for its place, and warns of that.
        warnings.filterwarnings("ignore", "Tensor do not have 'place' interface", UserWarning)
        program = paddle.jit.to_static(layer, input_spec=input_spec, full_graph=True)
        paddle.jit.save(program, str(path))


def _input_spec(spec: TensorSpec) -> Any:
    return paddle.static.InputSpec(list(spec.shape), spec.dtype, spec.name)
