"""Find a MoViNet in TensorFlow's graph of saved objects, by structure (docs/movinet.md)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from paddlevideo.convert.movinet_names import block_names, names_of
from paddlevideo.convert.movinet_tensorflow import CLASSIFIER, LAYER, tensorflow_key
from paddlevideo.convert.tensorflow.object_graph import ROOT, ObjectGraph
from paddlevideo.utils.errors import WeightsError

# Edges that lead to the same object under another name; the writer may have kept either.
_ALTERNATIVES: dict[str, tuple[tuple[str, ...], ...]] = {
    **{
        f"_{part}": ((f"_{part}",), ("_mobile_bottleneck", f"_{part}_layer"))
        for part in ("expansion", "feature", "attention", "projection", "skip")
    },
    "_batch_norm": (("_batch_norm",), ("_conv", "_batch_norm_op")),
    "_batch_norm_temporal": (("_batch_norm_temporal",), ("_conv_temporal", "_batch_norm_op")),
    "kernel": (
        ("kernel",),
        ("depthwise_kernel",),
        ("_conv", "kernel"),
        ("_conv", "depthwise_kernel"),
    ),
    "bias": (("bias",), ("_conv", "bias")),
    "scale": (("scale",), ("_scale",)),
}
_LAYER_EDGES = (re.compile(r"layer_with_weights-(\d+)$"), re.compile(r"layer-(\d+)$"))


@dataclass(frozen=True)
class FoundNetwork:
    """A MoViNet in an object graph.

    Attributes:
        block_names: of its bottleneck layers; their number says which variant it is.
        keys: ``{uniform key, as movinet_tensorflow knows it: checkpoint key}``.
        unknown: checkpoint keys of variables of the network that have no name here.
    """

    block_names: list[str]
    keys: dict[str, str]
    unknown: list[str]


def find_network(graph: ObjectGraph, source: str) -> FoundNetwork:
    """Return the one MoViNet that ``graph`` holds.

    Raises:
        WeightsError: there is none, or several, or an edge and its alternative differ.
    """
    layers = _one_backbone(graph, source)
    classifier = _classifier_of(graph, source)
    blocks = block_names(len(layers) - 2, source)
    starts = {LAYER.format(number): node for number, node in enumerate(layers)}
    if classifier is not None:
        starts[CLASSIFIER] = classifier
    keys: dict[str, str] = {}
    for name in names_of(blocks):
        short = tensorflow_key(name, blocks)
        prefix = next((prefix for prefix in starts if short.startswith(prefix)), None)
        if prefix is None:
            continue
        for node, leaf in _variable(graph, starts[prefix], short.removeprefix(prefix), source):
            uniform = f"{short.rpartition('/')[0]}/{leaf}"
            keys[uniform] = graph.nodes[node].key
    known = set(keys.values())
    inside = (
        graph.nodes[node].key
        for node, path in graph.reached(starts.values())
        if "keras_api" not in path
    )
    unknown = sorted({key for key in inside if key} - known)
    return FoundNetwork(blocks, keys, unknown)


def _variable(graph: ObjectGraph, start: int, path: str, source: str) -> list[tuple[int, str]]:
    """The variable at ``path``, as [(node, name of the last edge)], or [] where there is none."""
    nodes = {start: ""}
    for edge in path.split("/"):
        ends: dict[int, str] = {}
        for node in nodes:
            for edges in _ALTERNATIVES.get(edge, ((edge,),)):
                end = graph.resolve(node, edges)
                if end is not None:
                    ends.setdefault(end, edges[-1])
        nodes = ends
    found = [(node, leaf) for node, leaf in nodes.items() if graph.nodes[node].key]
    if len(found) > 1:
        keys = ", ".join(graph.nodes[node].key for node, _ in found)
        raise WeightsError(f"{source}: {path} leads to several variables: {keys}")
    return found


def _one_backbone(graph: ObjectGraph, source: str) -> list[int]:
    """Nodes of the layers: stem, bottlenecks, head projection."""
    found: dict[tuple[int, ...], str] = {}
    for node, path in graph.reached([ROOT]):
        for layers in _layer_lists(graph, node):
            kinds = [_kind(graph, layer) for layer in layers]
            if len(kinds) > 2 and kinds == ["stem", *["block"] * (len(kinds) - 2), "project"]:
                found.setdefault(tuple(layers), "/".join(path) or "(root)")
                break
    if len(found) == 1:
        return list(next(iter(found)))
    if found:
        raise WeightsError(f"{source} holds {len(found)} networks: {', '.join(found.values())}")
    edges = ", ".join(list(graph.nodes[ROOT].children)[:8]) or "nothing"
    raise WeightsError(
        f"{source}: no MoViNet in the graph of saved objects: no object leads to layers that are a "
        f"stem, bottlenecks and a head projection. What was saved has: {edges}"
    )


def _layer_lists(graph: ObjectGraph, node: int) -> Iterator[list[int]]:
    """The layers with weights of a Keras model, by either kind of numbered edge."""
    children = graph.nodes[node].children
    for pattern in _LAYER_EDGES:
        numbered = [
            (int(m[1]), child) for edge, child in children.items() if (m := pattern.match(edge))
        ]
        yield [child for _, child in sorted(numbered) if _kind(graph, child) is not None]


def _kind(graph: ObjectGraph, node: int) -> str | None:
    edges = graph.nodes[node].children
    if "_stem" in edges:
        return "stem"
    if "_head" in edges and "_classifier" in edges:
        return "classifier"
    if "_project" in edges:
        return "project"
    return "block" if "_mobile_bottleneck" in edges or "_expansion" in edges else None


def _classifier_of(graph: ObjectGraph, source: str) -> int | None:
    """The classifier layer beside the backbone; None where only a backbone was saved."""
    found = [node for node, _ in graph.reached([ROOT]) if _kind(graph, node) == "classifier"]
    if len(found) > 1:
        raise WeightsError(f"{source} holds {len(found)} classifier layers, expected one")
    return found[0] if found else None
