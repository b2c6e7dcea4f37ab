"""Whether a manifest is one that can be: against itself, its pipeline and its program.

Everything that the program later takes sizes, names or memory from is checked here, before an
engine is opened.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from paddlevideo.runtime.engines.base import DeclaredInput
from paddlevideo.runtime.manifest import (
    BundleManifest,
    Program,
    StateQueue,
    StepProgram,
    TensorSpec,
)
from paddlevideo.utils.errors import BundleError, shown
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.video import ClipInput

_NAME_BYTES = 255  # of a file name on common file systems
_MOST_TENSORS = 10_000  # inputs or outputs of one program
_MOST_AXES = 8
_ANY = -1
_DTYPES = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
_CLIP_DTYPES = ("uint8", "float32")
_HIGHEST_FRAME_RATE = 1000.0


def check_file_name(name: str, where: str) -> None:
    """Raise `BundleError` unless ``name`` is that of a file in the bundle's own folder."""
    # The backslash: a separator where Windows reads the same bundle.
    is_plain = Path(name).name == name and "\\" not in name and name.isprintable()
    if not is_plain or len(name.encode()) > _NAME_BYTES:
        raise BundleError(f"{where} names {shown(name)}, which is not a plain file")


def check_manifest(manifest: BundleManifest, where: str) -> None:
    """Check a manifest against itself.

    Raises:
        BundleError: a shape, dtype, name, number or list of labels that cannot be; says where.
    """
    if not manifest.programs:
        raise BundleError(f"{where}: names neither a clip program nor a step program")
    numbers = [
        _check_program(program, f"{where}: programs: {program.kind}")
        for program in manifest.programs
    ]
    if len(set(numbers)) > 1:
        raise BundleError(f"{where}: programs of {numbers} classes; export the model again")
    labels, reference = manifest.labels, manifest.reference
    if labels is not None and numbers[0] not in (_ANY, len(labels)):
        raise BundleError(
            f"{where}: labels: {len(labels)} names for {numbers[0]} classes; export the model "
            "again with the names of all classes"
        )
    if reference is not None and not 0 <= reference.tolerance <= 1:  # a nan is neither
        raise BundleError(
            f"{where}: reference.tolerance is {reference.tolerance}, expected a share from 0 to 1"
        )


def check_pipeline(
    specs: Sequence[TensorSpec], clip_inputs: Mapping[str, ClipInput], where: str
) -> None:
    """Check that a pipeline's clips are those that the manifest states; -1 and None are any.

    Raises:
        BundleError: another number of frames, size or dtype.
    """
    by_name = {spec.name: spec for spec in specs}
    if len(clip_inputs) == len(specs) == 1:  # a single input may have any name
        by_name = dict(zip(clip_inputs, specs, strict=True))
    for name, clip_input in clip_inputs.items():
        if clip_input.num_views > 1:
            raise BundleError(
                f"{where}: pipeline: makes {clip_input.num_views} views of a video, and a bundle "
                "takes one clip; write the section INFERENCE for one, and export the model again"
            )
        spec = by_name.get(name)
        # Names are compared with the program's; no manifest speaks of the files of PaddleVideo.
        if spec is None or not spec.shape:
            continue
        given = (clip_input.num_frames, 3, *clip_input.output_size)
        stated = spec.shape[1:]
        fits = all(a in (b, _ANY) or b is None for a, b in zip(stated, given, strict=True))
        if not fits or clip_input.output_layout != "TCHW" or clip_input.output_dtype != spec.dtype:
            raise BundleError(
                f"{where}: inputs: {name} is {list(stated)} {spec.dtype}, but the pipeline gives "
                f"{list(given)} {clip_input.output_dtype} {clip_input.output_layout}; "
                "export the model again"
            )


def check_step_size(step: StepProgram, clip_input: ClipInput, where: str) -> None:
    """Check that the pipeline's frames are those of the step program.

    Raises:
        BundleError: another size or dtype.
    """
    frame = step.inputs[0]
    fits = all(
        a == b or b is None for a, b in zip(frame.shape[2:], clip_input.output_size, strict=True)
    )
    if not fits or clip_input.output_dtype != frame.dtype:
        raise BundleError(
            f"{where}: step: the frame is {list(frame.shape[2:])} {frame.dtype}, but the pipeline "
            f"gives {list(clip_input.output_size)} {clip_input.output_dtype}; "
            "export the model again"
        )


def check_input_names(stated: Iterable[str], found: Iterable[str], where: str) -> None:
    """Check that a program's inputs are those that the manifest names.

    Raises:
        BundleError: they differ.
    """
    differing = sorted(set(stated) ^ set(found))
    if differing:
        raise BundleError(
            f"{where}: the program and the manifest differ in their inputs: "
            f"{', '.join(differing)[:200]}; export the model again"
        )


def check_declared(
    stated: Mapping[str, tuple[tuple[int, ...], str]],
    declared: Mapping[str, DeclaredInput],
    where: str,
) -> None:
    """Check shapes and dtypes against what a program says of its inputs, where it says something.

    Args:
        stated: shape and dtype by name, of the manifest.
        declared: by name, of the program.

    Raises:
        BundleError: they differ.
    """
    for name, (shape, dtype) in stated.items():
        own = declared.get(name)
        if own is None:
            continue
        pairs = zip(shape, own.shape, strict=False)
        fits = len(shape) == len(own.shape) and all(a == b or _ANY in (a, b) for a, b in pairs)
        if not fits or dtype != own.dtype:
            raise BundleError(
                f"{where}: {name} is {list(shape)} {dtype} in the manifest and "
                f"{list(own.shape)} {own.dtype} in the program; export the model again"
            )


def _check_program(program: Program, where: str) -> int:
    """The number of classes that the program gives."""
    if not program.files or not all(program.files.values()):
        raise BundleError(f"{where}: names no files; export the model again")
    _check_tensors(program.inputs, f"{where}: inputs")
    _check_tensors(program.outputs, f"{where}: outputs")
    if isinstance(program, StepProgram):
        _check_step(program, where)
    else:
        for spec in program.inputs:
            _check_clip(spec, f"{where}: inputs: {spec.name}")
    return _num_classes(program.outputs, f"{where}: outputs")


def _check_tensors(specs: Sequence[TensorSpec], where: str) -> None:
    if not 1 <= len(specs) <= _MOST_TENSORS:
        raise BundleError(f"{where}: expected 1 to {_MOST_TENSORS} tensors, got {len(specs)}")
    _check_names([spec.name for spec in specs], where)
    for spec in specs:
        _check_shape(spec.shape, spec.dtype, f"{where}: {spec.name}")


def _check_names(names: Sequence[str], where: str) -> None:
    doubled = [name for name, number in Counter(names).items() if number > 1]
    odd = [name for name in names if not name or len(name) > _NAME_BYTES]
    if doubled or odd:
        what = "names twice" if doubled else "has a tensor with the name"
        raise BundleError(f"{where}: {what} {shown((doubled or odd)[0])}")


def _check_shape(shape: Sequence[int], dtype: str, where: str) -> None:
    if dtype not in _DTYPES:
        raise BundleError(f"{where}: unknown dtype {shown(dtype)}; known: {', '.join(_DTYPES)}")
    if len(shape) > _MOST_AXES:
        raise BundleError(f"{where}: a shape of {len(shape)} axes")
    if any(size < 1 and size != _ANY for size in shape):
        raise BundleError(f"{where}: the shape {shown(list(shape))} has a size below 1")
    num_bytes = math.prod(size for size in shape if size != _ANY) * np.dtype(dtype).itemsize
    if num_bytes > limit("tensor_bytes"):
        raise BundleError(
            f"{where}: the shape {shown(list(shape))} is too large; {how_to_raise('tensor_bytes')}"
        )


def _check_frame(channels: int, height: int, width: int, dtype: str, where: str) -> None:
    if channels != 3 or dtype not in _CLIP_DTYPES:
        raise BundleError(
            f"{where}: {channels} channels of {dtype}, expected 3 of {' or '.join(_CLIP_DTYPES)}"
        )
    if abs(height) * abs(width) > limit("frame_pixels"):
        raise BundleError(
            f"{where}: {height}x{width} pixels are too many; {how_to_raise('frame_pixels')}"
        )


def _check_clip(spec: TensorSpec, where: str) -> None:
    if len(spec.shape) != 5:
        raise BundleError(f"{where}: {shown(list(spec.shape))} is no clip [B, T, 3, H, W]")
    _, num_frames, channels, height, width = spec.shape
    if num_frames > limit("clip_frames"):
        raise BundleError(f"{where}: {num_frames} frames; {how_to_raise('clip_frames')}")
    _check_frame(channels, height, width, spec.dtype, where)


def _num_classes(outputs: Sequence[TensorSpec], where: str) -> int:
    shape = outputs[0].shape
    if len(shape) != 2:
        raise BundleError(f"{where}: {shown(list(shape))} are no logits [B, N]")
    return shape[1]


def _check_step(step: StepProgram, where: str) -> None:
    frame = step.inputs[0]
    if len(step.inputs) != 1 or len(frame.shape) != 4 or _ANY in frame.shape[1:]:
        raise BundleError(f"{where}.inputs: expected one frame [B, 3, H, W] of a stated size")
    if len(step.outputs) != 1:
        raise BundleError(f"{where}.outputs: expected the logits alone, the states are in queues")
    _, channels, height, width = frame.shape
    _check_frame(channels, height, width, frame.dtype, f"{where}.inputs")
    if not 0 < step.frame_rate <= _HIGHEST_FRAME_RATE:  # a nan is neither
        raise BundleError(
            f"{where}.frame_rate is {step.frame_rate}, expected above 0, at most "
            f"{_HIGHEST_FRAME_RATE:g} frames/s"
        )
    _check_queues(step, where)


def _check_queues(step: StepProgram, where: str) -> None:
    queues = step.queues
    num_inputs = sum(len(queue.inputs) for queue in queues)
    if max(len(queues), num_inputs) > _MOST_TENSORS:
        raise BundleError(f"{where}.queues: {num_inputs} states, at most {_MOST_TENSORS} can be")
    _check_names([queue.name for queue in queues], f"{where}.queues")
    for queue in queues:
        _check_queue(queue, step.inputs[0].shape[0], f"{where}.queues: {queue.name}")
    inputs = [step.inputs[0].name, *(name for queue in queues for name in queue.inputs)]
    _check_names(inputs, f"{where}.queues: inputs")
    outputs = [step.outputs[0].name, *(queue.output for queue in queues)]
    _check_names(outputs, f"{where}.queues: outputs")
    num_bytes = sum(
        queue.length * math.prod(queue.shape[1:]) * np.dtype(queue.dtype).itemsize
        for queue in queues
    )
    if num_bytes > limit("state_bytes"):
        raise BundleError(
            f"{where}.queues: {num_bytes:.3g} bytes of states; {how_to_raise('state_bytes')}"
        )


def _check_queue(queue: StateQueue, batch: int, where: str) -> None:
    if queue.length < 1 or queue.length != len(queue.inputs):
        raise BundleError(
            f"{where}: a length of {queue.length} with {len(queue.inputs)} inputs; they are one "
            "number above 0"
        )
    _check_shape(queue.shape, queue.dtype, where)
    if not queue.shape or queue.shape[0] != batch or _ANY in queue.shape[1:]:
        raise BundleError(
            f"{where}: the shape {shown(list(queue.shape))}; expected the frame's batch, {batch}, "
            "and stated sizes"
        )
