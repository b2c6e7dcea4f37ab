"""Weights that show their own network: a ``.tflite`` file, or the folder of an exported bundle."""

from pathlib import Path

import numpy as np
from paddle import nn

from paddlevideo.convert.import_bundle import import_bundle
from paddlevideo.convert.import_tflite import TFLITE, import_tflite
from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_folded import FOLDED_EPSILON
from paddlevideo.modeling.builder import model_section
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.modeling.recognizers import ClipRecognizer
from paddlevideo.utils.errors import WeightsError

_CLASSES = "num_classes"
_STEM = "backbone.stem.conv.weight"
_PIXEL = 1.0 / 255.0
_NEAR_GREY_LEVELS = 1e-3


def import_self_describing(path: Path) -> ImportedWeights | None:
    """Read weights with the options of their network; None for a file that does not show them.

    Raises:
        BundleError, WeightsError: as `import_bundle` and `import_tflite`.
    """
    if path.is_dir():
        return import_bundle(path)
    return import_tflite(path) if path.suffix.lower() == TFLITE else None


def arrays_for(imported: ImportedWeights, model: nn.Layer, initial: bool) -> dict[str, np.ndarray]:
    """The weights for a model that must compute what their network does.

    Args:
        initial: as `require_options`.

    Raises:
        WeightsError: the model has other options, or scales pixels otherwise; says what to set.
    """
    require_options(imported, model, initial)
    if not isinstance(model, ClipRecognizer):
        return imported.arrays
    scaling = model.scaling
    wanted = imported.scaling or {"scale": _PIXEL}
    if scaling.is_identity and imported.scaling in (None, {"scale": 1.0}):
        return imported.arrays  # the pipeline scales
    factor = scaling.factor.numpy().reshape(3)
    mean = -scaling.offset.numpy().reshape(3) / factor
    expected = np.asarray(wanted.get("mean", (0.0, 0.0, 0.0))) / wanted["scale"]
    if wanted["scale"] == 1.0 or not np.allclose(mean, expected, rtol=1e-4, atol=_NEAR_GREY_LEVELS):
        raise WeightsError(
            f"{imported.source} is of a network that scales pixels otherwise; nothing was loaded. "
            f"Set MODEL.scaling: {wanted}"
        )
    ratio = np.float32(wanted["scale"]) / factor.astype(np.float32)
    stem = imported.arrays[_STEM] * ratio.reshape(1, 3, 1, 1, 1)
    return {**imported.arrays, _STEM: stem.astype(np.float32)}


def require_options(imported: ImportedWeights, model: Recognizer, initial: bool = False) -> None:
    """Raise unless ``model`` computes what the network of the file does.

    Args:
        imported: with ``model`` and ``options``, as the file shows them.
        initial: the weights are what training starts from; the number of classes may differ.

    Raises:
        WeightsError: lists every option to set, as a config and as `create_model` take it.
    """
    if imported.model is None:
        return
    section = model_section(imported.model, **imported.options)
    wanted = {f"MODEL.backbone.{key}": value for key, value in section["backbone"].items()}
    wanted["MODEL.head.activation"] = section["head"]["activation"]
    wanted.setdefault("MODEL.backbone.bn_epsilon", FOLDED_EPSILON)
    if not initial:
        wanted[f"MODEL.head.{_CLASSES}"] = section["head"][_CLASSES]
    found = model.built_with()
    if "gating_activation" not in imported.options:  # without gates it does not matter
        wanted.pop("MODEL.backbone.gating_activation", None)
    wrong = [
        f"  {key}: {value} (the model has {found.get(key, 'no such option')})"
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    if wrong:
        arguments = ", ".join(f"{key}={value!r}" for key, value in imported.options.items())
        raise WeightsError(
            f"{imported.source} is of a network with other options; nothing was loaded. Set\n"
            + "\n".join(wrong)
            + f"\nor create_model({imported.model!r}, {arguments})"
        )
