"""A pipeline's description: the YAML mapping, checked and taken apart.

::

    decode: {name: VideoDecoder, backend: pyav}
    sample: {name: UniformSampler, num_frames: 16}
    transform:
      - Scale: {short_size: 192}
      - RandomFlip: null        # no arguments; "- RandomFlip" says the same
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from paddlevideo.utils.config import unknown_key
from paddlevideo.utils.errors import ConfigError

_KEYS = ("decode", "sample", "transform")


def check_keys(description: Any, where: str) -> None:
    """Raise `ConfigError` unless ``description`` is a mapping of just the three keys."""
    if not isinstance(description, Mapping):
        raise ConfigError(f"{where}: expected a mapping of {', '.join(_KEYS)}, got {description!r}")
    for key in description:
        if key not in _KEYS:
            raise unknown_key(where, str(key), _KEYS)
    for key in ("decode", "sample"):
        if key not in description:
            raise ConfigError(f'{where}: "{key}" is missing')


def transform_nodes(description: Mapping[str, Any], where: str) -> list[tuple[dict[str, Any], str]]:
    """Return each transform as a node ``{name: ..., argument: ...}`` with its YAML path."""
    entries = description.get("transform")
    entries = [] if entries is None else entries
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ConfigError(f"{where}.transform: expected a list of steps, got {entries!r}")
    return [_node(entry, f"{where}.transform[{i}]") for i, entry in enumerate(entries)]


def _node(entry: Any, where: str) -> tuple[dict[str, Any], str]:
    if isinstance(entry, str):
        return {"name": entry}, f"{where}.{entry}"
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ConfigError(f"{where}: expected one step such as {{Scale: {{...}}}}, got {entry!r}")
    ((name, arguments),) = entry.items()
    at = f"{where}.{name}"
    if arguments is not None and not isinstance(arguments, Mapping):
        raise ConfigError(f"{at}: expected a mapping of arguments, got {arguments!r}")
    return {**(arguments or {}), "name": str(name)}, at


def plain_copy(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description as nested plain dicts and lists, independent of the original."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return copy.deepcopy(value)

    return {key: plain(description[key]) for key in _KEYS if key in description}


def for_video_files(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description for video files: a FrameDecoder becomes a VideoDecoder.

    Prediction takes video files also where training read folders of frames. The backend is cv2,
    with which such folders are usually cut.
    """
    copied = plain_copy(description)
    if copied.get("decode", {}).get("name") == "FrameDecoder":
        copied["decode"] = {"name": "VideoDecoder", "backend": "cv2"}
    return copied
