"""Write a recognizer as a bundle: its programs in every format, with all that they need to run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import paddle
from paddle import nn

from paddlevideo.export.exporter import Exporter, with_their_sources
from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.export.verify import answered_by, evaluating, reference_file, verify_bundle
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.runtime.bundle import Bundle, file_facts, read_bundle, replace_bundle, work_folder
from paddlevideo.runtime.frame_rate import RateSources, stream_frame_rate
from paddlevideo.runtime.manifest import (
    BundleManifest,
    ClipProgram,
    StateQueue,
    StepProgram,
    TensorSpec,
)
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.ranges import check_file_name
from paddlevideo.video import ClipInput, Pipeline

logger = logging.getLogger(__name__)

LOGITS_OUTPUT = "logits"
FRAME_INPUT = "frame"
_FIRST_FORMAT = "paddle"  # always written
_ANY = -1
_ONE_CLIP = "a bundle takes one clip of a video, and the section INFERENCE says which"
_SOURCE_FPS = 25.0  # of the videos that the strides of native clips count frames of


@dataclass(frozen=True)
class ExportOptions:
    """What is exported.

    Attributes:
        mode: ``clip``: a program of whole clips; ``stream``: one of a single frame too; ``auto``:
            ``stream`` for a model that can run frame by frame.
        formats: to write the programs in, beside Paddle's; see `EXPORTERS`.
        batch_size: that the programs take; None is any.
        verify: compare them with the model before anything is replaced.
        precision: that the weights are stored in. Arithmetic is float32 all the same.
        frame_rate: frames per second of a stream; None: what the pipelines say.
    """

    mode: Literal["auto", "clip", "stream"] = "auto"
    formats: tuple[str, ...] = ()
    batch_size: int | None = None
    verify: bool = False
    precision: Literal["fp32", "fp16"] = "fp32"
    frame_rate: float | None = None


def export_clip_model(
    model: Recognizer,
    pipeline: ReadNode,
    folder: str | Path,
    name: str,
    labels: list[str] | None = None,
) -> Bundle:
    """Write ``model`` as a bundle of a clip program alone; see `export_model`."""
    return export_model(model, pipeline, folder, name, labels, ExportOptions(mode="clip"))


def export_model(
    model: Recognizer,
    pipeline: ReadNode,
    folder: str | Path,
    name: str,
    labels: list[str] | None = None,
    options: ExportOptions | None = None,
    training: ReadNode | None = None,
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
        ConfigError: ``name`` is no part of file names; a format is unknown; the pipeline does not
            give clips of one size, or not the model's inputs or layout; the labels are not as many
            as the classes; or the model cannot run frame by frame and mode is ``stream``.
        BundleError: the folder cannot be written, or what was exported does not compute what the
            model does.
        DeviceError: a package that writes one of the formats is missing.
    """
    check_file_name(name, "the name of the bundle's files")
    folder, options = Path(folder), options or ExportOptions()
    clips = Pipeline(pipeline, "INFERENCE")
    clips.refuse_views(_ONE_CLIP)
    clip_inputs = clips.inputs
    inputs = _inputs(model, clip_inputs, options.batch_size or _ANY)
    if labels is not None and len(labels) != model.num_classes:
        raise ConfigError(f"{len(labels)} labels for a model of {model.num_classes} classes")
    exporters = with_their_sources((_FIRST_FORMAT, *options.formats))
    for each in exporters.values():
        each.check()
    network = _step_network(model, inputs, options.mode)
    frame_rate = _SOURCE_FPS
    if network is not None:
        frame_rate = _frame_rate(model, clip_inputs[CLIP], training, options)
    elif options.frame_rate is not None:
        raise ConfigError("--frame_rate is that of a stream, but only a clip program is exported")
    with evaluating(model), work_folder(folder) as work:
        programs = [_clip_program(model, inputs, options, name, work / "traced")]
        if network is not None:
            spec = _step_spec(network, inputs[0], frame_rate, options)
            programs.append(TracedProgram(network, spec, f"{name}_step", work / "traced"))
        specs = tuple(_written(program, exporters, work) for program in programs)
        reference = answered_by(model, inputs, network is not None)
        reference.write(work)
        manifest = BundleManifest(
            model_name=name,
            programs=specs,
            pipeline=dict(pipeline),
            labels=labels,
            reference=reference_file(options.precision, model),
            versions={"paddle": paddle.__version__},
        )
        manifest = replace(manifest, files=file_facts(work, manifest.named_files()))
        if options.verify:
            verify_bundle(model, Bundle(work, manifest))
        made = {name: each.finish(Bundle(work, manifest)) for name, each in exporters.items()}
        folders = [each for each in made.values() if each is not None]
        _check_written(specs, [name for name, each in made.items() if each is None])
        replace_bundle(folder, work, manifest, folders)
    logger.info(
        "exported %s to %s",
        name,
        ", ".join([str(folder), *(str(folder / each) for each in folders)]),
    )
    return read_bundle(folder)


def _written(
    program: TracedProgram, exporters: Mapping[str, Exporter], folder: Path
) -> ClipProgram | StepProgram:
    """Write a program in every format; what the manifest says of it."""
    files = {name: tuple(each.write(program, folder)) for name, each in exporters.items()}
    return replace(program.spec, files={name: names for name, names in files.items() if names})


def _check_written(specs: Sequence[ClipProgram | StepProgram], of_programs: Sequence[str]) -> None:
    """Refuse a format that has nothing of this bundle.

    Args:
        of_programs: the formats that have nothing of the bundle as a whole.
    """
    for name in of_programs:
        if not any(name in spec.files for spec in specs):
            kinds = " and ".join(spec.kind for spec in specs)
            raise ConfigError(
                f"--format {name} holds no {kinds} program, and this bundle has no other; leave it "
                "out, or export a causal model without --mode clip"
            )


def _clip_program(
    model: Recognizer,
    inputs: tuple[TensorSpec, ...],
    options: ExportOptions,
    name: str,
    folder: Path,
) -> TracedProgram:
    spec = ClipProgram(
        files={},
        inputs=inputs,
        outputs=(_logits(model, inputs[0].shape[0]),),
        precision=options.precision,
    )
    sizes = [(item.shape[1], item.shape[3], item.shape[4]) for item in inputs]
    return TracedProgram(model.clip_program(*sizes), spec, name, folder)


def _step_network(model: Recognizer, inputs: Sequence[TensorSpec], mode: str) -> nn.Layer | None:
    """The network of one frame, None for a bundle of clips."""
    if mode == "clip" or (mode == "auto" and not model.has_step_program):
        return None
    return model.step_program(*inputs[0].shape[-2:])


def _step_spec(
    network: nn.Layer, clip: TensorSpec, frame_rate: float, options: ExportOptions
) -> StepProgram:
    batch = clip.shape[0]
    queues = tuple(
        StateQueue(
            name=queue.name,
            length=queue.length,
            shape=(batch, *queue.shape),
            dtype=queue.dtype,
            inputs=tuple(queue.input_names),
            output=queue.output_name,
        )
        for queue in network.queues
    )
    return StepProgram(
        files={},
        inputs=(TensorSpec(FRAME_INPUT, (batch, *clip.shape[2:]), clip.dtype, "BCHW"),),
        outputs=(_logits(network, batch),),
        precision=options.precision,
        queues=queues,
        frame_rate=frame_rate,
    )


def _logits(model: Recognizer, batch: int) -> TensorSpec:
    return TensorSpec(LOGITS_OUTPUT, (batch, model.num_classes), "float32", "BN")


def _frame_rate(
    model: Recognizer, clip_input: ClipInput, training: ReadNode | None, options: ExportOptions
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
    model: Recognizer, clip_inputs: Mapping[str, ClipInput], batch: int
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
