"""Export a recognizer as a static program of Paddle Inference, with all that it needs to run."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor, nn

from paddlevideo.deploy.bundle import (
    MANIFEST_NAME,
    Bundle,
    BundleManifest,
    TensorSpec,
    file_facts,
    read_bundle,
    write_manifest,
)
from paddlevideo.loader import ClipView, Pipeline
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import BundleError, ConfigError

logger = logging.getLogger(__name__)

LOGITS_OUTPUT = "logits"
_ANY = -1


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


def export_clip_model(
    model: nn.Layer,
    pipeline: Mapping[str, Any],
    folder: str | Path,
    name: str,
    labels: list[str] | None = None,
) -> Bundle:
    """Write ``model`` as a bundle that takes clips [B, T, 3, H, W] of any batch size.

    A model of several views takes one for each, ``clip_<view>``.

    Args:
        model: a recognizer with its weights.
        pipeline: description of the pipeline for single video files; it fixes T, H and W, and has
            a view for each of the model's inputs.
        folder: made if missing; an older bundle of the same name in it is replaced.
        name: of the files, ``<name>.json`` and ``<name>.pdiparams``.

    Raises:
        ConfigError: the pipeline does not give clips of one size, or not the model's inputs or
            layout; or the labels are not as many as the classes.
        BundleError: the folder cannot be written.
    """
    folder = Path(folder)
    inputs = _inputs(model, Pipeline(pipeline, "INFERENCE"))
    if labels is not None and len(labels) != model.num_classes:
        raise ConfigError(f"{len(labels)} labels for a model of {model.num_classes} classes")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as work:
            _save_program(model, inputs, Path(work) / name)
            names = sorted(path.name for path in Path(work).iterdir())
            manifest = BundleManifest(
                model_name=name,
                mode="clip",
                program=_one(names, f"{name}.json", f"{name}.pdmodel"),
                params=_one(names, f"{name}.pdiparams"),
                inputs=inputs,
                outputs=(TensorSpec(LOGITS_OUTPUT, (_ANY, model.num_classes), "float32", "BN"),),
                pipeline=dict(pipeline),
                labels=labels,
                versions={"paddle": paddle.__version__},
                files=file_facts(Path(work), names),
            )
            _replace_bundle(folder, Path(work), manifest)
    except OSError as error:
        raise BundleError(f"cannot write to {folder}: {error.strerror}") from None
    logger.info("exported %s to %s", name, folder)
    return read_bundle(folder)


def _save_program(model: nn.Layer, inputs: Sequence[TensorSpec], path: Path) -> None:
    """Trace the model in evaluation mode and write it; the model keeps the mode it had."""
    was_training = model.training
    model.eval()
    specs = [paddle.static.InputSpec(list(i.shape), i.dtype, i.name) for i in inputs]
    try:
        program = paddle.jit.to_static(_ClipProgram(model), input_spec=[specs], full_graph=True)
        paddle.jit.save(program, str(path))
    finally:
        if was_training:
            model.train()


def _replace_bundle(folder: Path, work: Path, manifest: BundleManifest) -> None:
    """Put the new files in place of an older bundle's; without its manifest it is none."""
    try:
        old_names = set(read_bundle(folder).manifest.files)
    except BundleError:
        old_names = set()
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    for name in manifest.files:
        (work / name).replace(folder / name)
    write_manifest(folder, manifest)
    for name in old_names - set(manifest.files):
        (folder / name).unlink(missing_ok=True)


def _inputs(model: nn.Layer, pipeline: Pipeline) -> tuple[TensorSpec, ...]:
    """What the program takes, in the order of the model's `forward`."""
    wanted = model.input_specs()
    if set(wanted) != set(pipeline.views):
        raise ConfigError(
            f"INFERENCE: the pipeline gives {', '.join(pipeline.views)}, the model takes "
            f"{', '.join(wanted)}; clip_<view> is made by a view of that name"
        )
    return tuple(_input(name, pipeline.views[name], spec.dtype) for name, spec in wanted.items())


def _input(name: str, view: ClipView, dtype: str) -> TensorSpec:
    where = "INFERENCE" if name == CLIP else f"INFERENCE ({name})"
    height, width = view.output_size
    if height is None or width is None:
        raise ConfigError(
            f"{where}: the pipeline's clips have no fixed size; end it with a step that fixes "
            "it, such as CenterCrop"
        )
    if view.output_layout != "TCHW":
        raise ConfigError(
            f"{where}: the pipeline gives {view.output_layout} clips, the model takes TCHW; "
            "add the step Image2Array"
        )
    if view.output_dtype != dtype:
        raise ConfigError(
            f"{where}: the pipeline gives {view.output_dtype}, the model takes {dtype}; "
            "values are scaled either by MODEL.scaling or by a Normalization step"
        )
    return TensorSpec(name, (_ANY, view.num_frames, 3, height, width), dtype, "BTCHW")


def _one(names: list[str], *candidates: str) -> str:
    for candidate in candidates:
        if candidate in names:
            return candidate
    raise BundleError(f"Paddle wrote none of {', '.join(candidates)}; it wrote {', '.join(names)}")
