"""Weights files: ``.pdparams`` (what Paddle's users expect) and ``.safetensors``."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from paddlevideo.utils.array_pickle import read_array_pickle, write_array_pickle
from paddlevideo.utils.damage import shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.weights.safetensors_file import read_safetensors

PDPARAMS = ".pdparams"
SAFETENSORS = ".safetensors"

# Paddle's own table of structural to generated names; the keys of the file say the same.
_PADDLE_NAME_TABLE = "StructuredToParameterName@@"


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Return ``{name: array}`` of a ``.pdparams`` or ``.safetensors`` file.

    Nothing in the file is executed: see `paddlevideo.utils.array_pickle`.

    Raises:
        WeightsError: missing, of another format, damaged, or holding anything but arrays.
    """
    path = Path(path)
    if path.suffix == SAFETENSORS:
        return read_safetensors(path)
    if path.suffix != PDPARAMS:
        raise WeightsError(
            f"weights {path}: unknown format {path.suffix or '(no extension)'}; "
            f"expected {PDPARAMS} or {SAFETENSORS}"
        )
    content = read_array_pickle(path)
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected {{name: array}}, found {type(content).__name__}")
    content.pop(_PADDLE_NAME_TABLE, None)
    wrong = [shown(k) for k, v in content.items() if not isinstance(v, np.ndarray)]
    if wrong:
        raise WeightsError(f"{path}: these entries are not arrays: {', '.join(wrong[:10])}")
    if not content:
        raise WeightsError(f"{path}: the file holds no weights")
    if len(content) > limit("tensors"):
        raise WeightsError(f"{path}: it has {len(content)} tensors; {how_to_raise('tensors')}")
    names = {str(name) for name in content}
    if len(names) != len(content):
        raise WeightsError(f"{path}: two tensors have the same name")
    return {str(name): array for name, array in content.items()}


def write_weights(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``{name: array}`` atomically in the format that the extension names."""
    path = Path(path)
    if path.suffix == SAFETENSORS:
        with atomic_write(path) as file:
            file.write(
                safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in arrays.items()})
            )
    elif path.suffix == PDPARAMS:
        write_array_pickle(path, dict(arrays))
    else:
        raise WeightsError(f"cannot write {path}: expected {PDPARAMS} or {SAFETENSORS}")
