"""What ``inference.yml`` says, as data."""

from dataclasses import dataclass, field
from typing import Any, Literal

FORMAT_VERSION = 3  # 1 had clip programs only, 2 always Paddle's; both are read


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a program; -1 in the shape is any size."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: str


@dataclass(frozen=True)
class StateQueue:
    """One state of a step: a queue of tensors, the oldest first.

    A step takes them all and gives the newest; then the oldest is dropped and the newest pushed.
    All are zero where a stream begins.

    Attributes:
        length: number of tensors.
        shape, dtype: of each; the batch comes first.
        inputs: the program's inputs, from the oldest to the newest.
        output: the program's output: the newest.
    """

    name: str
    length: int
    shape: tuple[int, ...]
    dtype: str
    inputs: tuple[str, ...]
    output: str


QUEUE_RULE = "zeros at first; after a step drop the oldest input and push the output as the newest"


@dataclass(frozen=True)
class StepManifest:
    """The program of one frame: what ``inference.yml`` says of it under ``step``.

    Attributes:
        program, params, onnx: file names; a quantised bundle has the ``.onnx`` alone.
        inputs: the frame; the states are listed under ``queues``.
        outputs: the logits; then come the newest of each queue, in order.
        frame_rate: frames a second that the network was made for.
        queue_rule: what to do with the queues, for readers of the file.
    """

    program: str | None
    params: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    queues: tuple[StateQueue, ...]
    frame_rate: float
    onnx: str | None = None
    queue_rule: str = QUEUE_RULE


@dataclass(frozen=True)
class BundleManifest:
    """What ``inference.yml`` says.

    Attributes:
        model_name: the recipe's name of the model.
        mode: ``clip``: frames of a whole clip in, logits out; ``stream``: there is a program of
            one frame too, of the same weights.
        program, params, onnx: file names of the clip network, of its weights, and of both as ONNX;
            None in a quantised bundle, whose clips go through the program of one frame.
        inputs, outputs: of the clip network.
        pipeline: description of the pipeline that makes an input from a video file.
        labels: names of the classes, or None where they are not known.
        versions: what the bundle was written with.
        files: size and SHA-256 of every file.
        format_version: of this file.
        precision: of the weights: ``fp32``, ``fp16`` or ``int8``.
        quantization: how an int8 bundle was made.
    """

    model_name: str
    mode: Literal["clip", "stream"]
    program: str | None
    params: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    pipeline: dict[str, Any]
    labels: list[str] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    onnx: str | None = None
    step: StepManifest | None = None
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    quantization: dict[str, Any] | None = None
