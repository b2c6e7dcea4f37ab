"""A pipeline's description: the YAML mapping, checked and taken apart.

::

    decode: {name: VideoDecoder, backend: pyav}
    resize: fast                # default: exact
    sample: {name: UniformSampler, num_frames: 16}
    transform:
      - Scale: {short_size: 192}
      - RandomFlip: null        # no arguments; "- RandomFlip" says the same

or, for a model that takes a video at several sizes, several inputs::

    decode: {name: VideoDecoder}
    inputs:        # "views" in older files
      small: {sample: ..., transform: [...]}
      large: {sample: ..., transform: [...]}
"""

import copy
import re
from collections.abc import Mapping, Sequence

from paddlevideo.utils.clip_names import CLIP, clip_name
from paddlevideo.utils.config import unknown_key
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode

_INPUT_KEYS = ("sample", "transform")
_SEVERAL = ("inputs", "views")  # the second is the older word
_RESIZE = "resize"
_KEYS = ("decode", _RESIZE, *_INPUT_KEYS, *_SEVERAL)
_WAYS = ("exact", "fast")
_INPUT_NAME = re.compile(r"[A-Za-z0-9_]+")


def check_keys(description: ReadNode, where: str) -> None:
    """Raise `ConfigError` unless ``description`` is a mapping of just the keys above."""
    _check_mapping(description, where, _KEYS, required=["decode"])
    resizes_fast(description, where)
    key = _key_of_inputs(description)
    if key is None:
        _check_mapping(description, where, _KEYS, required=["sample"])
        return
    for other in (*_INPUT_KEYS, *_SEVERAL):
        if other in description and other != key:
            raise ConfigError(f"{where}.{other}: stands beside {key}; write it into each of them")
    inputs = description[key]
    if not isinstance(inputs, Mapping) or not inputs:
        raise ConfigError(f"{where}.{key}: expected a mapping of inputs, got {inputs!r}")
    for name, node in inputs.items():
        if not isinstance(name, str) or not _INPUT_NAME.fullmatch(name):
            raise ConfigError(
                f"{where}.{key}: an input's name is letters, digits and underscores, got {name!r}"
            )
        _check_mapping(node, f"{where}.{key}.{name}", _INPUT_KEYS, required=["sample"])


def resizes_fast(description: ReadNode, where: str) -> bool:
    """Whether pictures are resized before their colours become RGB (``resize: fast``).

    Raises:
        ConfigError: ``resize`` is neither ``exact`` nor ``fast``.
    """
    way = description.get(_RESIZE, _WAYS[0])
    if way not in _WAYS:
        raise ConfigError(f"{where}.{_RESIZE}: expected {' or '.join(_WAYS)}, got {way!r}")
    return bool(way == _WAYS[1])


def _key_of_inputs(description: ReadNode) -> str | None:
    """The key under which several inputs are listed; None where there is one."""
    return next((key for key in _SEVERAL if description.get(key) is not None), None)


def _check_mapping(node: object, where: str, keys: Sequence[str], required: Sequence[str]) -> None:
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where}: expected a mapping of {', '.join(keys)}, got {node!r}")
    for key in node:
        if key not in keys:
            raise unknown_key(where, str(key), keys)
    for key in required:
        if key not in node:
            raise ConfigError(f'{where}: "{key}" is missing')


def described_inputs(description: ReadNode, where: str) -> dict[str, tuple[ReadNode, str]]:
    """Return ``{clip name: (node, YAML path)}`` of a description whose keys were checked.

    The node holds ``sample`` and ``transform``: it is the description itself without ``inputs``.
    """
    key = _key_of_inputs(description)
    if key is None:
        return {CLIP: (description, where)}
    nodes = description[key].items()
    return {clip_name(name): (node, f"{where}.{key}.{name}") for name, node in nodes}


def transform_nodes(description: ReadNode, where: str) -> list[tuple[Node, str]]:
    """Return each transform as a node ``{name: ..., argument: ...}`` with its YAML path."""
    entries = description.get("transform")
    entries = [] if entries is None else entries
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ConfigError(f"{where}.transform: expected a list of steps, got {entries!r}")
    return [_node(entry, f"{where}.transform[{i}]") for i, entry in enumerate(entries)]


def _node(entry: object, where: str) -> tuple[Node, str]:
    if isinstance(entry, str):
        return {"name": entry}, f"{where}.{entry}"
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ConfigError(f"{where}: expected one step such as {{Scale: {{...}}}}, got {entry!r}")
    ((name, arguments),) = entry.items()
    at = f"{where}.{name}"
    if arguments is not None and not isinstance(arguments, Mapping):
        raise ConfigError(f"{at}: expected a mapping of arguments, got {arguments!r}")
    return {**(arguments or {}), "name": str(name)}, at


def plain_copy(description: ReadNode) -> Node:
    """Return the description as nested plain dicts and lists, independent of the original."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return copy.deepcopy(value)

    return {key: plain(description[key]) for key in _KEYS if key in description}


def for_video_files(description: ReadNode) -> Node:
    """Return the description for video files: a FrameDecoder becomes a VideoDecoder.

    Prediction takes video files also where training read folders of frames. The backend is cv2,
    with which such folders are usually cut. The folder of indexes is of one machine and left out.
    """
    copied = plain_copy(description)
    copied.get("decode", {}).pop("index_folder", None)
    if copied.get("decode", {}).get("name") == "FrameDecoder":
        copied["decode"] = {"name": "VideoDecoder", "backend": "cv2"}
    return copied
