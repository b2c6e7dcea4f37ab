"""From a publisher's file to one that `read_weights` reads, with a record of where it came from."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import paddle

from paddlevideo.convert.import_weights import import_weights
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.utils.archives import unpack_tar
from paddlevideo.utils.errors import DownloadError, WeightsError
from paddlevideo.utils.files import sha256_of, write_json
from paddlevideo.utils.nodes import Node
from paddlevideo.weights import load_arrays, model_arrays, write_weights
from paddlevideo.weights.published.cache import (
    RECORD_FORMAT,
    converted_file,
    names_file,
    record_file,
)
from paddlevideo.weights.published.classes import class_names
from paddlevideo.weights.published.entry import PretrainedEntry

logger = logging.getLogger(__name__)


def convert(entry: PretrainedEntry, file: Path) -> Node:
    """Convert the publisher's ``file`` into the cache and return its record.

    Raises:
        WeightsError: it is damaged, or no file of these weights; nothing is written.
        DownloadError: the cache cannot be written.
    """
    arrays, options = _read(entry, file)
    output = converted_file(entry)
    try:
        write_weights(output, arrays)
        record = {
            "record_format": RECORD_FORMAT,
            "name": entry.name,
            "address": entry.address,
            "page": entry.page,
            "licence": entry.licence,
            "file": entry.file_name,
            "file_bytes": file.stat().st_size,
            "file_sha256": sha256_of(file),
            "converted_bytes": output.stat().st_size,
            "model": entry.model,
            "options": {key: value for key, value in options.items() if key != "num_classes"},
            "num_classes": entry.num_classes,
            "class_list": entry.class_list,
        }
        write_json(names_file(entry), {"class_names": class_names(entry.class_list)})
        write_json(record_file(entry), record)  # last: it says that all is there
    except OSError as error:
        raise DownloadError(
            f"{output.parent} cannot be written: {error.strerror or error}; PADDLEVIDEO_HOME names "
            "another folder"
        ) from None
    logger.info("%s: converted into %s", entry.name, output)
    return record


def _read(entry: PretrainedEntry, file: Path) -> tuple[Node, Node]:
    """All weights of the entry's model, and the options that they are for."""
    with _opened(entry, file) as content:
        imported = import_weights(entry.source, content)
    options = dict(imported.options if entry.options is None else entry.options)
    section = model_section(entry.model, **{**options, "num_classes": entry.num_classes})
    with _random_state_kept():
        model = build_recognizer(section, entry.model)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    imported.require_fit(shapes, f"{entry.model} ({entry.name})")
    load_arrays(model, imported.arrays, imported.source)
    return model_arrays(model), options


@contextlib.contextmanager
def _opened(entry: PretrainedEntry, file: Path) -> Iterator[Path]:
    """What the importer reads: the file, or the folder that comes out of a .tar.gz."""
    if entry.file_format != "tensorflow":
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="paddlevideo-") as folder:
        unpack_tar(file, Path(folder))
        found = sorted({index.parent for index in Path(folder).rglob("*.index")})
        if not found:
            raise WeightsError(f"{file} holds no TensorFlow checkpoint (a file *.index)")
        yield found[0]


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """A run draws the same numbers whether its weights were in the cache or not."""
    state = paddle.get_rng_state()
    try:
        yield
    finally:
        paddle.set_rng_state(state)
