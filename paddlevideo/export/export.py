"""Export a recognizer as static programs, with all that it needs to run."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import paddle
from paddle import nn

from paddlevideo.export.export_onnx import check_onnx_packages, export_onnx
from paddlevideo.export.onnx_weights import store_as_half
from paddlevideo.export.static_programs import save_clip_program, save_step_program
from paddlevideo.export.verify import verify_bundle
from paddlevideo.runtime.bundle import (
    Bundle,
    BundleManifest,
    StateQueue,
    StepManifest,
    TensorSpec,
    file_facts,
    read_bundle,
    replace_bundle,
)
from paddlevideo.runtime.frame_rate import RateSources, stream_frame_rate
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import BundleError, ConfigError
from paddlevideo.utils.files import made_folder
from paddlevideo.utils.ranges import check_file_name
from paddlevideo.video import ClipInput, Pipeline

logger = logging.getLogger(__name__)

LOGITS_OUTPUT = "logits"
FRAME_INPUT = "frame"
_ANY = -1
_SOURCE_FPS = 25.0  # of the videos that the strides of native clips count frames of


@dataclass(frozen=True)
class ExportOptions:
    """What is exported.

    Attributes:
        mode: ``clip``: a program of whole clips; ``stream``: one of a single frame too; ``auto``:
            ``stream`` for a model that can run frame by frame.
        onnx: write the programs as ONNX too.
        batch_size: that the programs take; None is any.
        verify: compare them with the model before anything is replaced.
        precision: that the weights are stored in. Arithmetic is float32 all the same.
        frame_rate: frames per second of a stream; None: what the pipelines say.
    """

    mode: Literal["auto", "clip", "stream"] = "auto"
    onnx: bool = False
    batch_size: int | None = None
    verify: bool = False
    precision: Literal["fp32", "fp16"] = "fp32"
    frame_rate: float | None = None


def export_clip_model(
    model: nn.Layer,
    pipeline: Mapping[str, Any],
    folder: str | Path,
    name: str,
    labels: list[str] | None = None,
) -> Bundle:
    """Write ``model`` as a bundle of a clip program alone; see `export_model`."""
    return export_model(model, pipeline, folder, name, labels, ExportOptions(mode="clip"))


def export_model(
    model: nn.Layer,
    pipeline: Mapping[str, Any],
    folder: str | Path,
    name: str,
    labels: list[str] | None = None,
    options: ExportOptions | None = None,
    training: Mapping[str, Any] | None = None,
) -> Bundle:
    """Write ``model`` as a bundle that takes clips [B, T, 3, H, W], and frames if it is causal.

    A model of several inputs takes a clip for each, ``clip_<input>``.

    Args:
        model: a recognizer with its weights.
        pipeline: description of the pipeline for single video files; it fixes T, H and W, and has
            an input for each of the model's inputs.
        folder: made if missing; an older bundle of the same name in it is replaced.
        name: of the files, ``<name>.json`` and ``<name>.pdiparams``; ``<name>_step`` of the
            program of one frame.
        training: description of the pipeline that the model was trained with, if it is known: the
            frame rate of its clips is held against that of the stream.

    Raises:
        ConfigError: ``name`` is no part of file names; the pipeline does not give clips of one
            size, or not the model's inputs or layout; the labels are not as many as the classes;
            or the model cannot run frame by frame and mode is ``stream``.
        BundleError: the folder cannot be written, or what was exported does not compute what the
            model does.
        DeviceError: ONNX is asked for and a package that writes it is missing.
    """
    check_file_name(name, "the name of the bundle's files")
    folder, options = Path(folder), options or ExportOptions()
    clip_inputs = Pipeline(pipeline, "INFERENCE").inputs
    inputs = _inputs(model, clip_inputs, options.batch_size or _ANY)
    if labels is not None and len(labels) != model.num_classes:
        raise ConfigError(f"{len(labels)} labels for a model of {model.num_classes} classes")
    if options.onnx:
        check_onnx_packages()
    step_program = _step_program(model, inputs, options.mode)
    frame_rate = _SOURCE_FPS
    if step_program is not None:
        frame_rate = _frame_rate(model, clip_inputs[CLIP], training, options)
    elif options.frame_rate is not None:
        raise ConfigError("--frame_rate is that of a stream, but only a clip program is exported")
    try:
        with (
            made_folder(folder),
            tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as work,
        ):
            manifest = _write_clip(Path(work), name, model, inputs, options)
            manifest = replace(manifest, pipeline=dict(pipeline), labels=labels)
            if step_program is not None:
                step = _write_step(Path(work), f"{name}_step", step_program, inputs[0], options)
                step = replace(step, frame_rate=frame_rate)
                manifest = replace(manifest, mode="stream", step=step)
            names = sorted(path.name for path in Path(work).iterdir())
            manifest = replace(manifest, files=file_facts(Path(work), names))
            if options.verify:
                verify_bundle(model, Bundle(Path(work), manifest))
            replace_bundle(folder, Path(work), manifest)
    except OSError as error:
        raise BundleError(f"cannot write to {folder}: {error.strerror}") from None
    logger.info("exported %s to %s", name, folder)
    return read_bundle(folder)


def _write_clip(
    folder: Path,
    name: str,
    model: nn.Layer,
    inputs: tuple[TensorSpec, ...],
    options: ExportOptions,
) -> BundleManifest:
    """Write the program of a whole clip; a manifest without pipeline and labels."""
    outputs = (_logits(model, inputs[0].shape[0]),)
    save = partial(save_clip_program, model, inputs)
    return BundleManifest(
        model_name=name,
        mode="clip",
        **_write_program(folder / name, save, outputs, (), options),
        inputs=inputs,
        outputs=outputs,
        pipeline={},
        labels=None,
        versions={"paddle": paddle.__version__},
        precision=options.precision,
    )


def _step_program(model: nn.Layer, inputs: Sequence[TensorSpec], mode: str) -> nn.Layer | None:
    """The network of one frame, None for a bundle of clips."""
    can_step = getattr(model, "has_step_program", False)
    if mode == "clip" or (mode == "auto" and not can_step):
        return None
    if not hasattr(model, "step_program"):
        raise ConfigError(f"{model.architecture} does not run frame by frame; use --mode clip")
    return model.step_program(*inputs[0].shape[-2:])


def _write_step(
    work: Path,
    name: str,
    program: nn.Layer,
    clip: TensorSpec,
    options: ExportOptions,
) -> StepManifest:
    batch = clip.shape[0]
    frame = TensorSpec(FRAME_INPUT, (batch, *clip.shape[2:]), clip.dtype, "BCHW")
    queues = tuple(
        StateQueue(
            name=queue.name,
            length=queue.length,
            shape=(batch, *queue.shape),
            dtype=queue.dtype,
            inputs=tuple(queue.input_names),
            output=queue.output_name,
        )
        for queue in program.queues
    )
    outputs = (_logits(program, batch),)
    save = partial(save_step_program, program, frame, queues)
    files = _write_program(work / name, save, outputs, queues, options)
    return StepManifest(
        **files, inputs=(frame,), outputs=outputs, queues=queues, frame_rate=_SOURCE_FPS
    )


def _write_program(
    path: Path,
    save: Callable[..., None],
    outputs: Sequence[TensorSpec],
    queues: Sequence[StateQueue],
    options: ExportOptions,
) -> dict[str, Any]:
    """Write a program as Paddle's and, if asked for, as ONNX; return the names of the files.

    Args:
        path: without the ending.
        save: writes Paddle's to a path; ``half``: with float16 weights.
    """
    work, name = path.parent, path.name
    save(path)
    names = [file.name for file in work.iterdir()]
    program, params = (
        _one(names, f"{name}.json", f"{name}.pdmodel"),
        _one(names, f"{name}.pdiparams"),
    )
    onnx = f"{name}.onnx" if options.onnx else None
    if onnx is not None:
        given = [*(spec.name for spec in outputs), *(queue.output for queue in queues)]
        export_onnx(work / program, work / params, work / onnx, given)
    if options.precision == "fp16":
        save(path, half=True)  # over the float32 one that ONNX was made of
        if onnx is not None:
            store_as_half(work / onnx)
    return {"program": program, "params": params, "onnx": onnx}


def _logits(model: nn.Layer, batch: int) -> TensorSpec:
    return TensorSpec(LOGITS_OUTPUT, (batch, model.num_classes), "float32", "BN")


def _frame_rate(
    model: nn.Layer,
    clip_input: ClipInput,
    training: Mapping[str, Any] | None,
    options: ExportOptions,
) -> float:
    """Frames a second of the stream; see `stream_frame_rate`."""
    trained = None
    if training is not None:
        trained = Pipeline(training, "PIPELINE.train").inputs.get(CLIP)
    sources = RateSources(
        stated=options.frame_rate,
        inference=clip_input.sampler,
        training=None if trained is None else trained.sampler,
        native=_SOURCE_FPS / model.input_specs()[CLIP].stride_frames,
    )
    return stream_frame_rate(sources)


def _inputs(
    model: nn.Layer, clip_inputs: Mapping[str, ClipInput], batch: int
) -> tuple[TensorSpec, ...]:
    """What the program takes, in the order of the model's `forward`."""
    wanted = model.input_specs()
    if set(wanted) != set(clip_inputs):
        raise ConfigError(
            f"INFERENCE: the pipeline gives {', '.join(clip_inputs)}, the model takes "
            f"{', '.join(wanted)}; clip_<input> is made by an input of that name"
        )
    return tuple(
        _input(name, clip_inputs[name], spec.dtype, batch) for name, spec in wanted.items()
    )


def _input(name: str, clip_input: ClipInput, dtype: str, batch: int) -> TensorSpec:
    where = "INFERENCE" if name == CLIP else f"INFERENCE ({name})"
    height, width = clip_input.output_size
    if height is None or width is None:
        raise ConfigError(
            f"{where}: the pipeline's clips have no fixed size; end it with a step that fixes "
            "it, such as CenterCrop"
        )
    if clip_input.output_layout != "TCHW":
        raise ConfigError(
            f"{where}: the pipeline gives {clip_input.output_layout} clips, the model takes TCHW; "
            "add the step Image2Array"
        )
    if clip_input.output_dtype != dtype:
        raise ConfigError(
            f"{where}: the pipeline gives {clip_input.output_dtype}, the model takes {dtype}; "
            "values are scaled either by MODEL.scaling or by a Normalization step"
        )
    return TensorSpec(name, (batch, clip_input.num_frames, 3, height, width), dtype, "BTCHW")


def _one(names: list[str], *candidates: str) -> str:
    for candidate in candidates:
        if candidate in names:
            return candidate
    raise BundleError(f"Paddle wrote none of {', '.join(candidates)}; it wrote {', '.join(names)}")
