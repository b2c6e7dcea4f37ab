"""Checkpoints of a MoViNet as Model Garden's code would leave them, in each of its four forms."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle

from convert.tensorflow.movinet_layout import to_tensorflow
from convert.tensorflow.writer import GRAPH, VALUE, Objects, write_bundle
from paddlevideo.modeling import build_recognizer, model_section

BACKBONE = "backbone/"
FORMS = ("trainer", "model", "save_weights", "saved_model")
ROOT_OF = {
    "trainer": ("backbone/", "model/layer_with_weights-1/"),
    "model": ("model/layer_with_weights-0/", "model/layer_with_weights-1/"),
    "save_weights": ("layer_with_weights-0/", "layer_with_weights-1/"),
    "saved_model": ("model/layer_with_weights-0/", "model/layer_with_weights-1/"),
}


def small_arrays(name: str, **options) -> tuple[dict[str, np.ndarray], list[str], dict]:
    """An array of its own values for each weight of a registered model, no axis above 2.

    Returns them, the names of the layers, and the shapes of these arrays.
    """
    with paddle.LazyGuard():  # names and shapes, but no memory
        model = build_recognizer(model_section(name, **options))
    arrays = {}
    for number, (weight, tensor) in enumerate(model.state_dict().items()):
        shape = [min(size, 2) for size in tensor.shape]
        values = np.arange(np.prod(shape), dtype="float32") / 128 + number
        arrays[weight] = values.reshape(shape)
    return arrays, list(model.backbone.blocks.keys()), {k: v.shape for k, v in arrays.items()}


def write_checkpoint(
    prefix: Path,
    arrays: Mapping[str, np.ndarray],
    blocks: list[str],
    form: str = "trainer",
    conv_type: str = "2plus1d",
    edit=lambda objects: None,
    **options,
) -> Path:
    """Write our ``arrays`` as a TensorFlow checkpoint with the extras of its ``form``.

    Args:
        edit: changes the graph before it is written.
        options: of `write_bundle`.
    """
    objects, tensors = Objects(), {}
    backbone, classifier = ROOT_OF[form]
    for key, array in to_tensorflow(arrays, blocks, conv_type).items():
        path = key.removesuffix(VALUE)
        path = path.replace("model/layer_with_weights-1/", classifier)
        path = backbone + path.removeprefix(BACKBONE) if path.startswith(BACKBONE) else path
        node = objects.at(path)
        objects.keys[node] = path + VALUE
        tensors[path + VALUE] = array
    _extra_edges(objects, form)
    _extra_variables(objects, tensors, form)
    if form == "saved_model":
        tensors = _renumbered(objects, tensors)
    edit(objects)
    return write_bundle(prefix, tensors, {GRAPH: objects.encoded()}, **options)


def _extra_edges(objects: Objects, form: str) -> None:
    """Other ways to the same objects."""
    backbone, _ = (objects.at(path.rstrip("/")) for path in ROOT_OF[form])
    if form == "trainer":
        objects.edges[objects.at("model")]["layer_with_weights-0"] = backbone
    model = 0 if form == "save_weights" else objects.at("model")
    objects.edges[model]["_backbone"] = backbone
    layers = sorted(objects.edges[backbone].items(), key=lambda item: int(item[0].split("-")[1]))
    for number, (_, layer) in enumerate(layers):
        objects.at(f"layer-{2 * number}", backbone)  # an input layer, without weights
        objects.edges[backbone][f"layer-{2 * number + 1}"] = layer
        edges = objects.edges[layer]
        for part in ("expansion", "feature", "attention", "projection", "skip"):
            if f"_{part}" in edges:
                inner = objects.at("_mobile_bottleneck", layer)
                objects.edges[inner][f"_{part}_layer"] = edges[f"_{part}"]
    for node in range(len(objects.edges)):
        edges = objects.edges[node]
        for conv, norm in (("_conv", "_batch_norm"), ("_conv_temporal", "_batch_norm_temporal")):
            if conv in edges and norm in edges:
                objects.edges[edges[conv]]["_batch_norm_op"] = edges[norm]
        if "scale" in edges:
            edges["_scale"] = edges["scale"]


def _extra_variables(objects: Objects, tensors: dict[str, np.ndarray], form: str) -> None:
    """Counters and optimizer slots of a training; a metric of a SavedModel."""
    counters = {
        "trainer": ["save_counter", "global_step", "optimizer/iter"],
        "model": ["save_counter"],
        "save_weights": [],
        "saved_model": ["keras_api/metrics/0/total"],
    }[form]
    if form == "trainer":
        for node, key in list(objects.keys.items()):
            slot = objects.node()
            place = key.removesuffix(VALUE) + "/.OPTIMIZER_SLOT/optimizer/rms" + VALUE
            objects.slots.setdefault(objects.at("optimizer"), []).append(slot)
            objects.keys[slot] = place
            tensors[place] = np.full_like(tensors[objects.keys[node]], -1.0)
    for path in counters:
        node = objects.at(path)
        objects.keys[node] = path + VALUE
        tensors[path + VALUE] = np.array(7, "int64")


def _renumbered(objects: Objects, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A SavedModel's keys follow its list of variables: they say nothing of the network."""
    renamed = {}
    for number, (node, key) in enumerate(list(objects.keys.items())):
        if key.startswith("keras_api"):
            renamed[key] = tensors[key]
            continue
        new = f"variables/{number}{VALUE}"
        objects.edges[objects.at("variables")][str(number)] = node
        objects.keys[node] = new
        renamed[new] = tensors[key]
    return renamed
