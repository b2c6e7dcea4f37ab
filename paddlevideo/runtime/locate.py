"""Find the bundle that a user points at: a folder, or PaddleVideo's pair of file names."""

import logging
from pathlib import Path

from paddlevideo.runtime.bundle import MANIFEST_NAME, Bundle, read_bundle
from paddlevideo.runtime.manifest import BundleManifest, ClipProgram, TensorSpec
from paddlevideo.utils.errors import BundleError
from paddlevideo.utils.nodes import Node

logger = logging.getLogger(__name__)


def resolve_program(path: str | Path) -> Path:
    """Return the program file; ``.pdmodel`` means ``.json`` where only that was written.

    Paddle 3 writes the program as ``.json``; PaddleVideo's commands name ``.pdmodel``.

    Raises:
        BundleError: there is neither.
    """
    path = Path(path)
    if path.is_file():
        return path
    successor = path.with_suffix(".json")
    if path.suffix == ".pdmodel" and successor.is_file():
        logger.info("%s is not there; Paddle 3 wrote it as %s, which is used", path, successor.name)
        return successor
    raise BundleError(f"{path} is missing; export a model with tools/export_model.py")


def locate_bundle(
    folder: str | Path | None,
    model_file: str | Path | None,
    params_file: str | Path | None,
    pipeline: Node | None,
) -> Bundle:
    """Return the bundle in ``folder``, or the one around ``model_file`` and ``params_file``.

    Files without ``inference.yml`` (exported by PaddleVideo) need ``pipeline``, which a config
    gives. Where both are there and differ, the bundle's own is used, and the log says so.

    Raises:
        BundleError: nothing usable is named.
    """
    if folder is not None:
        bundle = read_bundle(folder)
    elif model_file is not None and params_file is not None:
        program, params = resolve_program(model_file), Path(params_file)
        if not params.is_file():
            raise BundleError(f"{params} is missing; export a model with tools/export_model.py")
        if (program.parent / MANIFEST_NAME).is_file():
            bundle = _same_files(read_bundle(program.parent), program, params)
        else:
            return _foreign_bundle(program, params, pipeline)
    else:
        raise BundleError("name the model: --model_dir, or --model_file with --params_file")
    if pipeline is not None and pipeline != bundle.manifest.pipeline:
        logger.warning(
            "the config's pipeline differs from the one the model was exported with; the "
            "bundle's own is used (export again to change it)"
        )
    return bundle


def _same_files(bundle: Bundle, program: Path, params: Path) -> Bundle:
    for ours, named in ((bundle.program, program), (bundle.params, params)):
        if ours.resolve() != named.resolve():
            raise BundleError(
                f"{named} is not the file that {bundle.folder / MANIFEST_NAME} describes "
                f"({ours.name}); name that one, or --model_dir {bundle.folder} alone"
            )
    return bundle


def _foreign_bundle(program: Path, params: Path, pipeline: Node | None) -> Bundle:
    if pipeline is None:
        raise BundleError(
            f"{program.parent} has no {MANIFEST_NAME}; name the config the model was trained "
            "with: --config"
        )
    logger.info("%s has no %s; the config's pipeline is used", program.parent, MANIFEST_NAME)
    network = ClipProgram(
        files={"paddle": (program.name, str(params.absolute()))},  # which may lie elsewhere
        inputs=(TensorSpec("", (), "float32", "BTCHW"),),
        outputs=(TensorSpec("logits", (), "float32", "BN"),),
    )
    return Bundle(program.parent, BundleManifest(program.stem, (network,), pipeline))
