"""The bundle of released weights, exported once into the cache."""

import logging
import shutil
import tempfile
from pathlib import Path

from paddlevideo import api
from paddlevideo.apps.native_clips import native_description
from paddlevideo.export import ExportOptions, export_model, usable_formats
from paddlevideo.modeling.device import setup_device
from paddlevideo.runtime import read_bundle
from paddlevideo.utils.cache_home import home
from paddlevideo.utils.errors import BundleError
from paddlevideo.weights.published import class_names, find_entry
from paddlevideo.weights.published.cache import only_process

logger = logging.getLogger(__name__)


def released_bundle(name: str) -> Path:
    """Return the folder of the bundle of released weights; fetch and export what is not there.

    Raises:
        WeightsError: no weights of that name.
        DownloadError: they cannot be fetched.
        BundleError: the cache cannot be written.
    """
    entry = find_entry(name)
    folder = home() / "bundles" / entry.name
    if _is_whole(folder):
        return folder
    setup_device("cpu")
    model = api.create_model(entry.model, weights=entry.name).eval()
    labels = class_names(entry.class_list)
    with only_process(entry):
        if _is_whole(folder):  # another process has made it meanwhile
            return folder
        logger.info("%s is exported once, into %s", entry.name, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            made = Path(work) / "bundle"
            pipeline = native_description(model.input_spec())
            options = ExportOptions(formats=usable_formats("onnx"))
            export_model(model, pipeline, made, entry.name, labels, options)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    return folder


def _is_whole(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    try:
        read_bundle(folder)
    except BundleError as error:
        logger.warning("%s is made again: %s", folder, error)
        return False
    return True
