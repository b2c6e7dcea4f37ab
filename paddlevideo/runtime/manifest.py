"""What ``inference.yml`` says, as data: the programs of a bundle and what runs them needs."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pydantic

from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.nodes import Node

FORMAT_VERSION = 4  # 1 to 3 had a field for each file; `old_manifests` translates them


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


@dataclass(frozen=True, kw_only=True)
class Program:
    """One network with its inputs and outputs, written in one format or in several.

    Attributes:
        files: names of the files by the name of their format, in the format's own order.
        precision: of the weights: ``fp32``, ``fp16`` or ``int8``.
        inputs: of ``clip`` programs: clips [B, T, 3, H, W]; of ``step`` programs: the frame.
        outputs: the logits.
    """

    files: dict[str, tuple[str, ...]]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: Literal["fp32", "fp16", "int8"] = "fp32"

    @property
    def output_names(self) -> tuple[str, ...]:
        """All outputs, in the program's order."""
        return tuple(spec.name for spec in self.outputs)


@dataclass(frozen=True, kw_only=True)
class ClipProgram(Program):
    """Frames of a whole clip in, logits out."""

    kind: Literal["clip"] = "clip"


@dataclass(frozen=True, kw_only=True)
class StepProgram(Program):
    """One frame and the states in, logits and the newest of each queue out.

    Attributes:
        queues: the states; their outputs come behind the logits, in order.
        frame_rate: frames a second that the network was made for.
        queue_rule: what to do with the queues, for readers of the file.
    """

    queues: tuple[StateQueue, ...]
    frame_rate: float
    queue_rule: str = QUEUE_RULE
    kind: Literal["step"] = "step"

    @property
    def output_names(self) -> tuple[str, ...]:
        """All outputs, in the program's order."""
        return (*super().output_names, *(queue.output for queue in self.queues))


@dataclass(frozen=True)
class ReferenceFile:
    """Inputs and right answers, see `paddlevideo.runtime.reference`.

    Attributes:
        file: name of the ``.npz``.
        tolerance: by how much the answers of an engine may differ, as a share.
        of: what it is a share of: the ``largest`` absolute value of the answers, or their
            ``spread``, the largest less the smallest.
    """

    file: str
    tolerance: float
    of: Literal["largest", "spread"]


@dataclass(frozen=True)
class BundleManifest:
    """What ``inference.yml`` says.

    Attributes:
        model_name: the recipe's name of the model.
        programs: one of clips, one of single frames, or both, of the same weights.
        pipeline: description of the pipeline that makes an input from a video file.
        labels: names of the classes, or None where they are not known.
        reference: None in bundles of the formats before 4.
        versions: what the bundle was written with.
        files: size and SHA-256 of every file.
        format_version: of this file.
        quantization: how an int8 bundle was made.
    """

    model_name: str
    programs: tuple[Annotated[ClipProgram | StepProgram, pydantic.Field(discriminator="kind")], ...]
    pipeline: Node
    labels: list[str] | None = None
    reference: ReferenceFile | None = None
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, int | str]] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    quantization: Node | None = None

    @property
    def clip(self) -> ClipProgram | None:
        """The program of whole clips."""
        return next((item for item in self.programs if isinstance(item, ClipProgram)), None)

    @property
    def step(self) -> StepProgram | None:
        """The program of one frame."""
        return next((item for item in self.programs if isinstance(item, StepProgram)), None)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The clips that a prediction takes; without a clip program any number of frames."""
        if self.clip is not None:
            return self.clip.inputs
        frame = self.programs[0].inputs[0]
        batch, *sizes = frame.shape
        return (TensorSpec(CLIP, (batch, -1, *sizes), frame.dtype, "BTCHW"),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The logits."""
        return self.programs[0].outputs

    def named_files(self) -> list[str]:
        """The files of all programs in order, and the reference."""
        groups = [files for program in self.programs for files in program.files.values()]
        reference = [] if self.reference is None else [self.reference.file]
        return [name for group in (*groups, reference) for name in group]
