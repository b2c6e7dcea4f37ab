"""Write the page of a bundle: a static folder that any web server can serve."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from paddlevideo.export.web.browser_graph import write_browser_graph
from paddlevideo.export.web.preprocessing import page_steps
from paddlevideo.export.web.runtime_files import VERSION, extract_runtime, require_runtime
from paddlevideo.runtime.bundle import MANIFEST_NAME, Bundle
from paddlevideo.runtime.manifest import StepProgram
from paddlevideo.runtime.manifest_check import check_step_size
from paddlevideo.runtime.reference import Reference, read_reference
from paddlevideo.utils.errors import BundleError
from paddlevideo.utils.files import made_folder
from paddlevideo.utils.packages import require_packages
from paddlevideo.video import Pipeline

_DESCRIPTION = "model/model.json"
_REFERENCE = "reference.bin"
_LEAST_TOLERANCE = 1e-3  # sums in another order, on another kind of processor
_WINDOW_SECONDS = 10.0  # of a camera, where the bundle does not say how long its clips are


def site_folder(bundle: Bundle) -> Path:
    """Where the page of a bundle lies if no other place is named: in the bundle's own folder."""
    return bundle.folder / f"{bundle.manifest.model_name}_web"


def write_site(bundle: Bundle, folder: Path, title: str | None = None) -> None:
    """Write the page that runs ``bundle`` in a browser.

    Args:
        bundle: with a step program that was exported as ONNX.
        folder: new, empty, or an older page's, which is replaced.
        title: of the page; default: the model's name.

    Raises:
        BundleError: no ONNX step program, a pipeline that the page cannot follow, or the folder
            holds something else or cannot be written.
        DeviceError: the package onnx is missing.
        DownloadError: onnxruntime-web cannot be fetched.
    """
    require_packages("the page", "onnx")
    _check_folder(folder)
    step, onnx_file = _step_program(bundle)
    description = _description(bundle, step, title or bundle.manifest.model_name)
    archive = require_runtime()
    try:
        with (
            made_folder(folder.parent),
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=".web-") as work,
        ):
            made = Path(work) / "site"
            _copy_page(made)
            extract_runtime(archive, made / "runtime")
            (made / "model").mkdir()
            write_browser_graph(onnx_file, made / "model" / onnx_file.name)
            _write_reference(read_reference(bundle), made / "model" / _REFERENCE)
            size = (made / "model" / onnx_file.name).stat().st_size
            text = json.dumps({**description, "model_bytes": size}, ensure_ascii=False, indent=1)
            (made / _DESCRIPTION).write_text(text, encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        raise BundleError(f"cannot write to {folder}: {error.strerror or error}") from None


def _check_folder(folder: Path) -> None:
    """Raise `BundleError` if the folder holds what is no page of ours."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(f"{folder} is a file; name a new folder: -o FOLDER")
    if any(folder.iterdir()) and not (folder / _DESCRIPTION).is_file():
        raise BundleError(f"{folder} holds other files; name a new or an empty folder: -o FOLDER")


def _step_program(bundle: Bundle) -> tuple[StepProgram, Path]:
    """The step program and its ONNX file."""
    files = bundle.step_files.files.get("onnx")  # a BundleError where there is no step program
    step = bundle.manifest.step
    if step is None or not files:
        raise BundleError(
            f"{bundle.folder} has no ONNX file of its step program; export with --format "
            "paddle,onnx or --format web"
        )
    return step, files[0]


def _description(bundle: Bundle, step: StepProgram, title: str) -> Mapping[str, object]:
    """What ``model.json`` says."""
    manifest, where = bundle.manifest, str(bundle.folder / MANIFEST_NAME)
    pipeline = Pipeline(manifest.pipeline, f"{where}: pipeline")
    check_step_size(step, pipeline.input, where)
    reference, stated = read_reference(bundle), manifest.reference
    if reference.step_logits is None or stated is None:
        raise BundleError(f"{bundle.folder} has no answers of its step program; export it again")
    (frame,) = step.inputs
    (order,) = reference.order.values()
    (frames,) = reference.frames.values()
    return {
        "title": title,
        "runtime": f"onnxruntime-web {VERSION}",
        "model": step.files["onnx"][0],
        "frame_rate": step.frame_rate,
        "window_seconds": _window_seconds(bundle, step),
        "labels": manifest.labels,
        "num_classes": step.outputs[0].shape[1],
        "logits": step.outputs[0].name,
        "frame": {"name": frame.name, "dtype": frame.dtype, "shape": [1, *frame.shape[1:]]},
        "steps": page_steps(pipeline.input, f"{where}: pipeline"),
        "queues": [
            {
                "dtype": queue.dtype,
                "shape": [1, *queue.shape[1:]],
                "inputs": queue.inputs,
                "output": queue.output,
            }
            for queue in step.queues
        ],
        "reference": {
            "file": _REFERENCE,
            "num_frames": len(frames),
            "order": order[0, : len(reference.step_logits)].tolist(),
            "tolerance": max(stated.tolerance, _LEAST_TOLERANCE),
            "of": stated.of,
        },
    }


def _window_seconds(bundle: Bundle, step: StepProgram) -> float:
    """How long the clips are that the network is made for."""
    num_frames = bundle.manifest.inputs[0].shape[1]
    return num_frames / step.frame_rate if num_frames > 0 else _WINDOW_SECONDS


def _write_reference(reference: Reference, path: Path) -> None:
    """The frames as the network takes them, then the answers to the first clip, float32."""
    (frames,) = reference.frames.values()
    assert reference.step_logits is not None
    with path.open("wb") as file:
        file.write(np.ascontiguousarray(frames).tobytes())
        file.write(np.ascontiguousarray(reference.step_logits[:, 0], np.float32).tobytes())


def _copy_page(folder: Path) -> None:
    """The files of the page itself, and the folder for onnxruntime-web with its licence."""
    with resources.as_file(resources.files("paddlevideo.export.web") / "assets") as assets:
        shutil.copytree(assets, folder)
