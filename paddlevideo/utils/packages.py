"""Packages that not every installation has: whether they are there, and which extra brings them.

The base installation is the runtime; pyproject.toml says what each extra adds to it.
"""

import importlib.util
from collections.abc import Sequence

from paddlevideo.utils.errors import DeviceError

DISTRIBUTION = "paddlevideo-movinet"

# What the network, its weights and their download need beside the base.
TRAINING = ("paddle", "safetensors", "pooch", "requests")

# Extra -> what it adds to the base, as it is imported.
_EXTRAS = {
    "onnx": {"onnx", "paddle2onnx"},
    "compiled": {"numba", "onnx"},
    "train": {*TRAINING, "numba"},
    "litert": {"ai_edge_litert"},
    "report": {"jinja2", "matplotlib"},
    "serve": {"fastapi", "uvicorn", "h11", "websockets", "prometheus_client"},
    "decord": {"decord"},
    "writers": {"tensorboardX", "visualdl"},
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
    what_to_install = _extras_of(missing) or " ".join(missing)
    alternative = f"; or {otherwise}" if otherwise else ""
    raise DeviceError(
        f"{what} needs {', '.join(missing)}: pip install {what_to_install}{alternative}"
    )


def _extras_of(packages: Sequence[str]) -> str:
    """The distribution with one extra that has all packages, or with several; empty if none.

    Packages of the base come with every extra.
    """
    wanted = set(packages) & set().union(*_EXTRAS.values())
    whole = [extra for extra, held in _EXTRAS.items() if held.issuperset(wanted)]
    parts = [extra for extra, held in _EXTRAS.items() if held & wanted]
    extras = (whole[:1] or parts) if wanted else []
    return f'"{DISTRIBUTION}[{",".join(extras)}]"' if extras else ""
