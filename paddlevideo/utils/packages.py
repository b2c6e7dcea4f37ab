"""Packages that not every installation has: whether they are there, and which extra brings them.

The base installation is the runtime; pyproject.toml says what each extra adds to it.
"""

import importlib.util

from paddlevideo.utils.errors import DeviceError

DISTRIBUTION = "paddlevideo-movinet"

# What the network, its weights and their download need beside the base.
TRAINING = ("paddle", "safetensors", "pooch", "requests")

# Package as it is imported -> the extra that has it. Anything else comes with the base.
_EXTRAS = {
    "paddle": "train",
    "safetensors": "train",
    "pooch": "train",
    "requests": "train",
    "jinja2": "report",
    "numba": "compiled",
    "onnx": "onnx",
    "paddle2onnx": "onnx",
    "decord": "decord",
}


def is_installed(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def require_packages(what: str, *packages: str, otherwise: str = "") -> None:
    """Check that packages are installed.

    Args:
        what: needs them; begins the message.
        otherwise: what to do instead of installing them, for the end of the message.

    Raises:
        DeviceError: it names those that are missing, and the extras that have them.
    """
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    extras = sorted({_EXTRAS[package] for package in missing if package in _EXTRAS})
    what_to_install = f'"{DISTRIBUTION}[{",".join(extras)}]"' if extras else " ".join(missing)
    alternative = f"; or {otherwise}" if otherwise else ""
    raise DeviceError(
        f"{what} needs {' and '.join(missing)}: pip install {what_to_install}{alternative}"
    )
