"""Weights from elsewhere, by the name of their source, and the options their network needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.convert.import_bundle import import_bundle
from paddlevideo.convert.import_tensorflow import import_tensorflow
from paddlevideo.convert.import_tflite import import_tflite
from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_names import block_names, blocks_in, names_of
from paddlevideo.convert.movinet_pytorch import import_pytorch
from paddlevideo.convert.paddlevideo_weights import is_paddlevideo, translate_weights
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.weights import read_weights

# What a file's name says it is, for a message where it is given as something else.
_KNOWN_SUFFIXES = {
    ".h5": "a Keras file; save the model with model.save_weights(PREFIX, save_format='tf')",
    ".keras": "a Keras file; save the model with tf.train.Checkpoint(model=model).save(PREFIX)",
    ".onnx": "an ONNX model, which has no names of the network's weights",
}
_SOURCE_OF_SUFFIX = {
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".pdparams": "paddlevideo",
    ".index": "tf",
    ".npz": "tf",
    ".tflite": "tflite",
}


@dataclass(frozen=True)
class Source:
    """An implementation whose weights can be read.

    Attributes:
        read: from a path to weights under our names.
        options: options with which our network computes what theirs does, given the backbone's
            node of the model that is asked for.
    """

    read: Callable[[Path], ImportedWeights]
    options: Callable[[ReadNode], Node]


def import_weights(source: str, path: str | Path) -> ImportedWeights:
    """Read weights of another implementation.

    Args:
        source: a name of `SOURCES`.

    Raises:
        BundleError, WeightsError: missing, damaged, of another source or format, or without a
            MoViNet.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _KNOWN_SUFFIXES:
        raise WeightsError(f"{path} is {_KNOWN_SUFFIXES[suffix]}")
    meant = _SOURCE_OF_SUFFIX.get(suffix, source)
    if meant != source and path.is_file():
        raise WeightsError(f"{path} is no file of the source {source}; use --source {meant}")
    return SOURCES[source].read(path)


def _import_paddlevideo(path: Path) -> ImportedWeights:
    theirs = read_weights(path)
    if not is_paddlevideo(theirs):
        some = ", ".join(list(theirs)[:3])
        raise WeightsError(
            f"{path} holds no MoViNet under PaddleVideo's names; it holds {some}, ..."
        )
    arrays = translate_weights(theirs, str(path))
    known = names_of(block_names(len(blocks_in(arrays)), str(path)))
    return ImportedWeights(
        str(path),
        {name: array for name, array in arrays.items() if name in known},
        [name for name in arrays if name not in known],
    )


def _paddlevideo_options(backbone: ReadNode) -> Node:
    """Its fixed padding is that of the non-causal A0; its batch norm has Paddle's epsilon."""
    has_padding = backbone.get("model_type") == "A0" and not backbone.get("causal")
    return {**({"padding": "paddlevideo"} if has_padding else {}), "bn_epsilon": 1e-5}


def _pytorch_options(backbone: ReadNode) -> Node:
    """Its gate is Keras's hard sigmoid, where TensorFlow's network has another."""
    if backbone.get("gating_activation") == "hard_sigmoid":
        return {"gating_activation": "keras_hard_sigmoid"}
    return {}


def _no_options(_backbone: ReadNode) -> Node:
    return {}


SOURCES: Mapping[str, Source] = {
    "tf": Source(import_tensorflow, _no_options),
    "tflite": Source(import_tflite, _no_options),
    "bundle": Source(import_bundle, _no_options),
    "pytorch": Source(import_pytorch, _pytorch_options),
    "paddlevideo": Source(_import_paddlevideo, _paddlevideo_options),
}
