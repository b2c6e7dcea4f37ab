"""Parse YAML of unknown origin: bounded in depth and size, plain values only, nothing shared.

What comes out is made of ``dict`` with text keys, ``list``, ``str``, ``bool``, ``int`` of 64 bits,
``float``, dates and ``None``. An alias gives a copy: no two values share one object.
"""

import re
from typing import Any

import yaml

from paddlevideo.utils.errors import ConfigError, PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit

_TAG = "tag:yaml.org,2002:"
_CONSTRUCTED = ("bool", "float", "int", "map", "null", "seq", "str", "timestamp")
_LARGEST_INT = 2**63
# A NUL ends a path for the operating system, and a lone surrogate cannot be written as UTF-8.
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_FLOAT = re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")


class _Problem(yaml.MarkedYAMLError):
    """A document that is YAML, but not one that is read here."""


class SafeLoader(yaml.SafeLoader):
    """Refuses what is too deep, too large or ambiguous; reads ``1e-4`` as the number it is.

    Depth and number of values are counted while the nodes are composed, those of an alias as if
    it were written out: before anything recurses over them.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth_limit = int(limit("config_depth"))
        self._nodes_limit = int(limit("config_nodes"))
        self._depth = 0  # of the node that is being composed, from 1
        self._deepest = 0  # depth of the deepest node so far within the one being composed
        self._num_nodes = 0
        # (values, levels) of each finished node, by its identity.
        self._extents: dict[int, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node and all within it."""
        event = self.peek_event()
        self._depth += 1
        self._grow(1, self._depth, event)
        outer, self._deepest = self._deepest, self._depth
        before = self._num_nodes
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._extents:
                raise _problem(f'the alias "{str(event.anchor)[:100]}" stands within itself', event)
            values, levels = self._extents[id(node)]
            self._grow(values - 1, self._depth + levels - 1, event)
        else:
            self._extents[id(node)] = (
                self._num_nodes - before + 1,
                self._deepest - self._depth + 1,
            )
        self._deepest = max(outer, self._deepest)
        self._depth -= 1
        return node

    def _grow(self, values: int, depth: int, event: yaml.Event) -> None:
        self._num_nodes += values
        self._deepest = max(self._deepest, depth)
        if depth > self._depth_limit:
            raise _problem(f"nested too deep; {how_to_raise('config_depth')}", event)
        if self._num_nodes > self._nodes_limit:
            raise _problem(
                f"too many values, aliases written out; {how_to_raise('config_nodes')}", event
            )

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Compose a mapping; its own keys are text, each of them once."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem("unhashable key: a key is text", key_node)
            if key_node.tag == f"{_TAG}merge":
                continue
            key = key_node.value
            if key_node.tag != f"{_TAG}str":
                raise _problem(
                    f'the key {key[:100]} is no text; write it as "{key[:100]}"', key_node
                )
            if key in seen:
                raise _problem(f'key "{key[:100]}" is given twice', key_node)
            seen.add(key)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Write out ``<<``: own keys come before merged ones, the first of several before others.

        PyYAML 6.0.4 tells keys apart by the identity of their texts, and takes wrong values.
        """
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        own = {}
        for key_node, value_node in node.value:
            if key_node.tag != f"{_TAG}merge":
                own[key_node.value] = (key_node, value_node)
                continue
            is_list = isinstance(value_node, yaml.SequenceNode)
            for source in value_node.value if is_list else [value_node]:
                if not isinstance(source, yaml.MappingNode):
                    raise _problem(
                        "<< merges mappings: expected a mapping or a list of them", source
                    )
                self.flatten_mapping(source)
                for source_key, source_value in source.value:
                    merged.setdefault(source_key.value, (source_key, source_value))
        node.value = list({**merged, **own}.values())

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """The text of a scalar."""
        text = super().construct_scalar(node)
        if isinstance(text, str) and _NOT_TEXT.search(text):
            raise _problem("text with a NUL or half of a surrogate pair", node)
        return text

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number of 64 bits."""
        number = super().construct_yaml_int(node)
        if not -_LARGEST_INT <= number < _LARGEST_INT:
            raise _problem("a whole number outside 64 bits", node)
        return number


class Dumper(yaml.SafeDumper):
    """Quotes the text ``1e-4``, which `SafeLoader` would read as a number."""


for _class in (SafeLoader, Dumper):
    _class.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789"))
# Sets, ordered pairs and bytes are no values of a document here: their tags are unknown.
SafeLoader.yaml_constructors = {
    **{
        f"{_TAG}{name}": yaml.SafeLoader.yaml_constructors[f"{_TAG}{name}"] for name in _CONSTRUCTED
    },
    f"{_TAG}int": SafeLoader.construct_yaml_int,
    None: yaml.SafeLoader.yaml_constructors[None],
}


def parse_yaml(text: str, name: str, error: type[PaddleVideoError] = ConfigError) -> Any:
    """Return what the one document in ``text`` holds; no two values share one object.

    Args:
        name: the file or option, for messages.
        error: the kind of error that is raised.

    Raises:
        PaddleVideoError: ``error``: not valid YAML, or not what is read here; with the line.
    """
    try:
        loader = SafeLoader(text)
        try:
            return written_out(loader.get_single_data())
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as problem:
        raise error(f"{name}: not valid YAML: {problem.reason}") from None
    except yaml.MarkedYAMLError as problem:
        line = f", line {problem.problem_mark.line + 1}" if problem.problem_mark else ""
        what = str(problem.problem)[:300]
        kind = "" if isinstance(problem, _Problem) else "not valid YAML: "
        raise error(f"{name}{line}: {kind}{what}") from None
    except RecursionError:  # only where the limit was raised
        raise error(f"{name}: nested deeper than can be read") from None
    # What constructors raise for a number, truth value or date that is none.
    except (
        yaml.YAMLError,
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        AttributeError,
    ) as e:
        raise error(f"{name}: not valid YAML: {str(e)[:300]}") from None


def written_out(value: object) -> object:
    """A copy of nested dicts and lists that share nothing."""
    if isinstance(value, dict):
        return {key: written_out(item) for key, item in value.items()}
    if isinstance(value, list):
        return [written_out(item) for item in value]
    return value


def _problem(text: str, at: yaml.Event | yaml.Node) -> _Problem:
    mark: Any = at.start_mark
    return _Problem(problem=text, problem_mark=mark)
