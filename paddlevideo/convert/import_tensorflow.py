"""MoViNet's weights from a TensorFlow checkpoint, or from a table of its variables (``.npz``)."""

import re
from pathlib import Path

import numpy as np

from paddlevideo.convert.imported import ImportedWeights, sort_out
from paddlevideo.convert.movinet_graph import FoundNetwork, find_network
from paddlevideo.convert.movinet_names import block_names, names_of
from paddlevideo.convert.movinet_tensorflow import from_tensorflow, short_key
from paddlevideo.convert.tensorflow import Bundle, find_prefix
from paddlevideo.convert.tensorflow.object_graph import GRAPH_KEY, ObjectGraph
from paddlevideo.utils.archives import read_npz
from paddlevideo.utils.damage import damage_of, shown
from paddlevideo.utils.errors import WeightsError

_NPZ = ".npz"
_TABLE_PREFIX = "weight/"
_BLOCK = re.compile(r"^backbone/layer_with_weights-(\d+)/_mobile_bottleneck/")

# What lies beside the network: pattern of the key -> what it is.
_BESIDE = {
    r"^_CHECKPOINTABLE_OBJECT_GRAPH$": "graph of the saved objects, read",
    r"/\.OPTIMIZER_SLOT/": "slot of the optimizer",
    r"(^|/)(optimizer|_optimizer)/": "the optimizer's",
    r"(^|/)(global_step|save_counter|step)(/|$)": "counter of the training",
    r"(^|/)(metrics|train_metrics|keras_api)/": "metric of the training",
}


def import_tensorflow(path: str | Path) -> ImportedWeights:
    """Read the one MoViNet of a checkpoint; every tensor of the checkpoint is verified.

    Args:
        path: as `find_prefix` takes it, or a ``.npz`` with ``weight/<checkpoint key>``.

    Raises:
        WeightsError: missing, damaged, of another format, or without one MoViNet.
    """
    path = Path(path)
    if path.suffix == _NPZ:
        return _import_table(path)
    bundle = Bundle(find_prefix(path))
    source = str(bundle.prefix)
    graph = _graph_of(bundle)
    with damage_of(source, "a checkpoint of a network"):
        network = find_network(graph, source)
    used = set(network.keys.values())
    for key in bundle.entries:
        if key not in used:
            bundle.verify(key)
    variables = {uniform: bundle.read(key) for uniform, key in network.keys.items()}
    arrays, unplaced = _in_our_layout(variables, network.block_names, source)
    assert not unplaced, unplaced  # the walk asks for names of the same grammar
    return _with_rest(source, arrays, network, bundle)


def _in_our_layout(
    variables: dict[str, np.ndarray], blocks: list[str], source: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    try:
        return from_tensorflow(variables, names_of(blocks), blocks)
    except ValueError as error:
        raise WeightsError(f"{source}: a kernel has too few axes: {error}") from None


def _with_rest(
    source: str, arrays: dict[str, np.ndarray], network: FoundNetwork, bundle: Bundle
) -> ImportedWeights:
    used = {*network.keys.values(), *network.unknown}
    rest = [key for key in bundle.entries if key not in used]
    left_over = {key: _reason(key) or "no part of the network" for key in rest}
    return ImportedWeights(source, arrays, network.unknown, left_over)


def _reason(key: str) -> str | None:
    return next((text for pattern, text in _BESIDE.items() if re.search(pattern, key)), None)


def _graph_of(bundle: Bundle) -> ObjectGraph:
    if GRAPH_KEY not in bundle.entries:
        raise WeightsError(
            f"{bundle.index_path} has no graph of saved objects: it is a name-based checkpoint of "
            "TensorFlow 1; expected one of tf.train.Checkpoint, model.save_weights or a SavedModel"
        )
    text = bundle.read_string(GRAPH_KEY)
    try:
        return ObjectGraph(text)
    except ValueError as error:
        raise WeightsError(
            f"{bundle.prefix}: damaged graph of saved objects: {shown(error)}"
        ) from None


def _import_table(path: Path) -> ImportedWeights:
    found = read_npz(path, lambda name: name.startswith(_TABLE_PREFIX))
    variables = {name.removeprefix(_TABLE_PREFIX): array for name, array in found.items()}
    layers = {m[1] for key in variables if (m := _BLOCK.match(short_key(key)))}
    if not layers:
        raise WeightsError(
            f"{path} holds no MoViNet: no array {_TABLE_PREFIX}.../layer_with_weights-1/..."
        )
    blocks = block_names(len(layers), str(path))
    arrays, rest = _in_our_layout(variables, blocks, str(path))
    unknown, left_over = sort_out(rest, _reason)
    return ImportedWeights(str(path), arrays, unknown, left_over)
