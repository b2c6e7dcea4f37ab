"""Export a recognizer as a static program of Paddle Inference, with all that it needs to run."""

import logging
import tempfile
from collections.abc import Mapping
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
from paddlevideo.loader import Pipeline
from paddlevideo.utils.errors import BundleError, ConfigError

logger = logging.getLogger(__name__)

CLIP_INPUT, LOGITS_OUTPUT = "clip", "logits"
_ANY = -1


class _ClipProgram(nn.Layer):
    """Clip in, logits out: the part of a recognizer that is exported.

    Run as it is: the control flow of a recognizer does not depend on values, and Paddle's rewriting
    of every layer's source takes ten times as long as the export itself.
    """

    def __init__(self, model: nn.Layer) -> None:
        super().__init__()
        self.model = model

    @paddle.jit.not_to_static
    def forward(self, clip: Tensor) -> Tensor:
        return self.model(clip)


def export_clip_model(
    model: nn.Layer,
    pipeline: Mapping[str, Any],
    folder: str | Path,
    name: str,
    labels: list[str] | None = None,
) -> Bundle:
    """Write ``model`` as a bundle that takes clips [B, T, 3, H, W] of any batch size.

    Args:
        model: a recognizer with its weights.
        pipeline: description of the pipeline for single video files; it fixes T, H and W.
        folder: made if missing; an older bundle of the same name in it is replaced.
        name: of the files, ``<name>.json`` and ``<name>.pdiparams``.

    Raises:
        ConfigError: the pipeline does not give clips of one size, or not the model's layout; or
            the labels are not as many as the classes.
        BundleError: the folder cannot be written.
    """
    folder = Path(folder)
    clip_spec = _input_spec(model, Pipeline(pipeline, "INFERENCE"))
    if labels is not None and len(labels) != model.num_classes:
        raise ConfigError(f"{len(labels)} labels for a model of {model.num_classes} classes")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as work:
            _save_program(model, clip_spec, Path(work) / name)
            names = sorted(path.name for path in Path(work).iterdir())
            manifest = BundleManifest(
                model_name=name,
                mode="clip",
                program=_one(names, f"{name}.json", f"{name}.pdmodel"),
                params=_one(names, f"{name}.pdiparams"),
                inputs=(clip_spec,),
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


def _save_program(model: nn.Layer, clip_spec: TensorSpec, path: Path) -> None:
    """Trace the model in evaluation mode and write it; the model keeps the mode it had."""
    was_training = model.training
    model.eval()
    spec = paddle.static.InputSpec(list(clip_spec.shape), clip_spec.dtype, CLIP_INPUT)
    try:
        program = paddle.jit.to_static(_ClipProgram(model), input_spec=[spec], full_graph=True)
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


def _input_spec(model: nn.Layer, pipeline: Pipeline) -> TensorSpec:
    height, width = pipeline.output_size
    if height is None or width is None:
        raise ConfigError(
            "INFERENCE: the pipeline's clips have no fixed size; end it with a step that fixes "
            "it, such as CenterCrop"
        )
    if pipeline.output_layout != "TCHW":
        raise ConfigError(
            f"INFERENCE: the pipeline gives {pipeline.output_layout} clips, the model takes TCHW; "
            "add the step Image2Array"
        )
    dtype = model.input_spec().dtype
    if pipeline.output_dtype != dtype:
        raise ConfigError(
            f"INFERENCE: the pipeline gives {pipeline.output_dtype}, the model takes {dtype}; "
            "values are scaled either by MODEL.scaling or by a Normalization step"
        )
    shape = (_ANY, pipeline.num_frames, 3, height, width)
    return TensorSpec(CLIP_INPUT, shape, dtype, "BTCHW")


def _one(names: list[str], *candidates: str) -> str:
    for candidate in candidates:
        if candidate in names:
            return candidate
    raise BundleError(f"Paddle wrote none of {', '.join(candidates)}; it wrote {', '.join(names)}")
