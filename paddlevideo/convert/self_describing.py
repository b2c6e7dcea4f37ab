"""Weights that show their own network: a ``.tflite`` file, or the folder of an exported bundle."""

from pathlib import Path

import numpy as np
from paddle import nn

from paddlevideo.convert.found_options import require_options
from paddlevideo.convert.import_bundle import import_bundle
from paddlevideo.convert.import_tflite import TFLITE, import_tflite
from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.modeling.recognizers import ClipRecognizer
from paddlevideo.utils.errors import WeightsError

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
