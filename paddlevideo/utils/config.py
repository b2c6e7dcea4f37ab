"""Read a YAML configuration: ``_base_`` inheritance, ``-o`` overrides, nothing ever evaluated.

A config is a plain nested ``dict`` of YAML scalars, lists and mappings. What the keys mean is the
business of the recipe (`paddlevideo.tasks.recipe`); this file only reads, merges and points.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from paddlevideo.utils.errors import ConfigError, nearest_hint

BASE_KEY = "_base_"


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice and reads ``1e-4`` as the number it looks like."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping, after looking for a key that stands in it twice."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                line = key_node.start_mark.line + 1
                raise ConfigError(f'{self.name}, line {line}: key "{key}" is given twice')
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes the text ``1e-4``, which `_Loader` would read as a number."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read ``path`` with its ``_base_`` files, then apply ``overrides`` (``a.b.0.c=value``).

    Raises:
        ConfigError: no such file, not YAML, a cycle of bases, or an override that fits nothing.
    """
    config = _read_with_bases(Path(path), ())
    for override in overrides:
        apply_override(config, override)
    return config


def parse_yaml(text: str, name: str) -> Any:
    """Parse YAML text safely; ``name`` (a file or option) stands in the error message."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{name}: not valid YAML: {error.reason}") from None
    loader.name = name
    try:
        return loader.get_single_data()
    except (ValueError, AttributeError) as error:  # a date or number that is none
        raise ConfigError(f"{name}: not valid YAML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{name}{line}: not valid YAML: {problem}") from None
    finally:
        loader.dispose()


def _read_with_bases(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    resolved = path.resolve()
    if resolved in children:
        chain = " -> ".join(str(p) for p in (*children, resolved))
        raise ConfigError(f"{path}: {BASE_KEY} refers back to itself: {chain}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        via = f" (named as {BASE_KEY} in {children[-1]})" if children else ""
        raise ConfigError(f"config {path}{via} cannot be read: {reason}") from None
    config = parse_yaml(text, str(path))
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: expected a mapping of sections at the top of the file")
    bases = config.pop(BASE_KEY, [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{path}: {BASE_KEY} is {bases!r}; expected a path or a list of paths")
    merged: dict[str, Any] = {}
    for base in bases:
        merged = merge(merged, _read_with_bases(path.parent / base, (*children, resolved)))
    return merge(merged, config)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
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


def _other(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(key in old and key in new and old[key] != new[key] for key in ("name", "format"))


def apply_override(config: dict[str, Any], override: str) -> None:
    """Apply one ``a.b.0.c=value`` in place. The value is a YAML scalar, list or mapping.

    Raises:
        ConfigError: no ``=``, or a step of the path leads through something without that key.
    """
    dotted, separator, text = override.partition("=")
    if not separator or not dotted.strip():
        raise ConfigError(f'-o {override}: expected "KEY.KEY=VALUE"')
    value = parse_yaml(text, f"-o {dotted}")
    *parents, last = dotted.strip().split(".")
    node: Any = config
    for depth, part in enumerate(parents):
        here = ".".join(parents[: depth + 1])
        if isinstance(node, dict) and (part not in node or node[part] is None):
            node[part] = {}
        node = _step(node, part, here)
        if not isinstance(node, (dict, list)):
            raise ConfigError(f"-o {dotted}: {here} is {node!r}, which has no keys")
    if isinstance(node, list):
        _step(node, last, dotted)
        node[int(last)] = value
    else:
        node[last] = value


def _step(node: Any, part: str, where: str) -> Any:
    if isinstance(node, list):
        if not part.isdecimal() or int(part) >= len(node):
            raise ConfigError(f"-o {where}: expected an index from 0 to {len(node) - 1}")
        return node[int(part)]
    return node[part]


def to_yaml(config: Mapping[str, Any]) -> str:
    """Write a config back as YAML text, sections in their order."""
    return yaml.dump(_plain(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Any) -> Any:
    """Turn tuples and other mappings into what ``safe_dump`` writes."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def unknown_key(where: str, key: str, known: Sequence[str]) -> ConfigError:
    """The error for a key that a section does not have."""
    at = f"{where}.{key}" if where else key
    return ConfigError(f'{at}: unknown key "{key}"; {nearest_hint(key, known)}')
