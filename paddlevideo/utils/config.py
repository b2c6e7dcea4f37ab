"""Read a YAML configuration: ``_base_`` inheritance, ``-o`` overrides, nothing ever evaluated.

A config is a plain nested ``dict`` of YAML scalars, lists and mappings. What the keys mean is the
business of the recipe (`paddlevideo.tasks.recipe`); this file only reads, merges and points.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from paddlevideo.utils.errors import ConfigError, nearest_hint, shown
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.safe_yaml import Dumper, parse_yaml
from paddlevideo.utils.text_files import read_text

BASE_KEY = "_base_"
_SHOWN_PATH = 300  # characters of a path in a message
_SHOWN_FILES = 5
_INDEX_DIGITS = 9


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> Node:
    """Read ``path`` with its ``_base_`` files, then apply ``overrides`` (``a.b.0.c=value``).

    Raises:
        ConfigError: no such file, not YAML, a cycle of bases, or an override that fits nothing.
    """
    config = copy.deepcopy(_BaseReader().read(Path(path)))
    for override in overrides:
        apply_override(config, override)
    return config


class _BaseReader:
    """Reads configs with their bases, each file once.

    Attributes:
        merged: what each file gives with its bases, by its resolved path.
        num_values: of all bases that were laid on one another, with repeats.
    """

    def __init__(self) -> None:
        self.merged: dict[Path, Node] = {}
        self.num_values = 0

    def read(self, path: Path, children: tuple[Path, ...] = ()) -> Node:
        """Return the config in ``path``; ``children`` are the files that led to it."""
        via = f" (named as {BASE_KEY} in {children[-1]})" if children else ""
        subject = f"config {str(path)[:_SHOWN_PATH]}{via}"
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
            raise ConfigError(f"{subject} cannot be read: {error}") from None
        if resolved in children:
            chain = " -> ".join(str(p) for p in (*children[-_SHOWN_FILES:], resolved))
            raise ConfigError(f"{path}: {BASE_KEY} refers back to itself: {chain}")
        if resolved not in self.merged:
            self._check_number(len(self.merged) + len(children) + 1, path)
            self.merged[resolved] = self._read(path, subject, (*children, resolved))
        return self.merged[resolved]

    def _read(self, path: Path, subject: str, files: tuple[Path, ...]) -> Node:
        config = parse_yaml(read_text(path, subject), str(path))
        if not isinstance(config, dict):
            raise ConfigError(f"{path}: expected a mapping of sections at the top of the file")
        bases = config.pop(BASE_KEY, [])
        bases = [bases] if isinstance(bases, str) else bases
        if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
            raise ConfigError(
                f"{path}: {BASE_KEY} is {shown(bases)}; expected a path or a list of paths"
            )
        self._check_number(len(bases), path)
        merged: Node = {}
        for base in bases:
            found = self.read(path.parent / base, files)
            self.num_values += _num_values(found)
            if self.num_values > limit("config_nodes"):
                raise ConfigError(
                    f"{path}: too many values with those of its {BASE_KEY}; "
                    f"{how_to_raise('config_nodes')}"
                )
            merged = merge(merged, found)
        return merge(merged, config)

    def _check_number(self, number: int, path: Path) -> None:
        if number > limit("config_bases"):
            raise ConfigError(
                f"{path}: too many files through {BASE_KEY}; {how_to_raise('config_bases')}"
            )


def _num_values(value: object) -> int:
    """How many values a config holds, containers included."""
    if isinstance(value, dict):
        return 1 + sum(map(_num_values, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_num_values, value))
    return 1


def merge(base: ReadNode, over: ReadNode) -> Node:
    """Return ``base`` with ``over`` laid on top: mappings merge key by key, all else replaces.

    A mapping in ``over`` that changes the component ``name`` (or ``format``) replaces the whole
    mapping: the arguments of another component would make no sense.
    """
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and not _other(old, value):
            merged[key] = merge(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _other(old: ReadNode, new: ReadNode) -> bool:
    return any(key in old and key in new and old[key] != new[key] for key in ("name", "format"))


def apply_override(config: Node, override: str) -> None:
    """Apply one ``a.b.0.c=value`` in place. The value is a YAML scalar, list or mapping.

    Raises:
        ConfigError: no ``=``, or a step of the path leads through something without that key.
    """
    dotted, separator, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(f'-o {override[:100]}: expected "KEY.KEY=VALUE"')
    dotted = dotted[:100]
    if len(keys) > limit("config_depth"):
        raise ConfigError(f"-o {dotted}: nested too deep; {how_to_raise('config_depth')}")
    value = parse_yaml(text, f"-o {dotted}")
    *parents, last = keys
    node: Any = config
    for depth, part in enumerate(parents):
        here = ".".join(parents[: depth + 1])[:100]
        if isinstance(node, dict) and (part not in node or node[part] is None):
            node[part] = {}
        node = _step(node, part, here)
        if not isinstance(node, (dict, list)):
            raise ConfigError(f"-o {dotted}: {here} is {shown(node)}, which has no keys")
    if isinstance(node, list):
        _step(node, last, dotted)
        node[int(last)] = value
    else:
        node[last] = value


def _step(node: Any, part: str, where: str) -> Any:
    if isinstance(node, list):
        # The number of digits first: int() refuses thousands of them.
        if not part.isdecimal() or len(part) > _INDEX_DIGITS or int(part) >= len(node):
            known = f"an index from 0 to {len(node) - 1}" if node else "no index: the list is empty"
            raise ConfigError(f"-o {where}: expected {known}")
        return node[int(part)]
    return node[part]


def to_yaml(config: ReadNode) -> str:
    """Write a config back as YAML text, sections in their order."""
    return yaml.dump(_plain(config), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def _plain(value: object) -> object:
    """Turn tuples and other mappings into what ``safe_dump`` writes."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def unknown_key(where: str, key: str, known: Sequence[str]) -> ConfigError:
    """The error for a key that a section does not have."""
    key = key[:100]
    at = f"{where}.{key}" if where else key
    return ConfigError(f'{at}: unknown key "{key}"; {nearest_hint(key, known)}')
