"""Build or check a data set from its YAML node and its pipeline's description."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.utils.errors import ConfigError, nearest_hint
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.video.pipeline import Pipeline

_CONTEXT = "context"


def build_dataset(
    node: ReadNode,
    pipeline_description: ReadNode,
    *,
    training: bool,
    seed: int = 0,
    where: str = "DATASET",
    pipeline_where: str = "PIPELINE",
    bad_samples_path: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    class_names_source: str = "",
) -> ClipDataset:
    """Build the data set of a node such as ``{format: VideoDataset, file_path: train.list}``.

    Args:
        node: PaddleVideo's form; ``format`` names the class.
        pipeline_description: see `Pipeline`.
        training: whether the pipeline draws at random and unreadable samples are replaced.
        seed: of the run.
        where, pipeline_where: YAML paths, for messages.
        bad_samples_path: JSON-lines file of the samples that could not be read.
        class_names, class_names_source: what numbers class folders, and where it comes from.

    Raises:
        ConfigError: an unknown format, step or argument; names the YAML path.
        DataError: the list or folder cannot be used.
    """
    pipeline = Pipeline(pipeline_description, pipeline_where, training)
    path = None if bad_samples_path is None else Path(bad_samples_path)
    names = None if class_names is None else tuple(class_names)
    context = ReadingContext(pipeline, seed, path, names, class_names_source)
    return DATASETS.build(_registry_node(node, where), where, context=context)


def check_dataset(node: ReadNode, where: str = "DATASET") -> None:
    """Check the node's format and arguments; no file is touched.

    Raises:
        ConfigError: naming the YAML path.
    """
    DATASETS.check(_registry_node(node, where), where, (_CONTEXT,))


def class_folders_root(node: ReadNode | None) -> Path | None:
    """The folder whose class folders a checked node numbers; None of another kind of data set."""
    if node is None:
        return None
    data_set: Any = DATASETS.get(node["format"])  # held against `ClipDataset` as it registered
    root: Path | None = data_set.class_folders(node)
    return root


def recorded_names(node: ReadNode | None) -> tuple[list[str], Path] | None:
    """Names that the data of a checked node gives its labels, and their file; None: it gives none.

    Raises:
        DataError: the file cannot be read.
    """
    if node is None:
        return None
    data_set: Any = DATASETS.get(node["format"])  # as above
    names: tuple[list[str], Path] | None = data_set.recorded_names(node)
    return names


def _registry_node(node: ReadNode, where: str) -> Node:
    """Rename ``format`` to the registry's ``name``."""
    if not isinstance(node, Mapping) or not isinstance(node.get("format"), str):
        known = nearest_hint(str(node), DATASETS)
        raise ConfigError(f'{where}: expected a mapping with "format: <dataset>"; {known}')
    DATASETS.get(node["format"], f"{where}.format")
    return {"name": node["format"], **{k: v for k, v in node.items() if k != "format"}}
