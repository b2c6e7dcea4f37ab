"""The graph of saved objects: nodes, named edges, and the checkpoint key of each variable.

Source: TensorFlow's trackable_object_graph.proto. One variable has one key but may be reached by
many paths, and which path became the key depends on how the model was saved. So paths are walked
here, edge by edge, and never read off the key.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paddlevideo.convert.tensorflow.protobuf import as_bytes, as_int, read_fields
from paddlevideo.utils.limits import how_to_raise, limit

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
ROOT = 0
_VALUE = "VARIABLE_VALUE"
_DEEPEST = 50  # edges from the root: the path of every node is kept

Path = Sequence[str]


@dataclass(frozen=True)
class Node:
    """One saved object.

    Attributes:
        children: ``{edge: node number}``.
        key: checkpoint key of a variable's value, empty for any other object.
        slots: node numbers of the optimizer's slots.
    """

    children: Mapping[str, int]
    key: str
    slots: tuple[int, ...]


class ObjectGraph:
    """The nodes of a TrackableObjectGraph; node 0 is what was saved.

    Raises:
        ValueError: the message is damaged.
    """

    def __init__(self, message: bytes) -> None:
        if len(message) > limit("weights_header_bytes"):
            raise ValueError(f"{len(message)} bytes; {how_to_raise('weights_header_bytes')}")
        self.nodes = [
            _parse_node(as_bytes(value)) for field, value in read_fields(message) if field == 1
        ]
        for node in self.nodes:
            for number in (*node.children.values(), *node.slots):
                if number >= len(self.nodes):
                    raise ValueError(f"an edge leads to node {number} of {len(self.nodes)}")
        if not self.nodes:
            raise ValueError("the object graph is empty")

    def resolve(self, start: int, path: Path) -> int | None:
        """Return the node that ``path`` leads to, or None where an edge is absent."""
        for edge in path:
            child = self.nodes[start].children.get(edge)
            if child is None:
                return None
            start = child
        return start

    def reached(self, starts: Collection[int]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield (node, shortest path to it) of all that edges lead to from ``starts``."""
        seen = set(starts)
        waiting: deque[tuple[int, tuple[str, ...]]] = deque((node, ()) for node in starts)
        while waiting:
            number, path = waiting.popleft()
            yield number, path
            if len(path) >= _DEEPEST:
                raise ValueError(f"an object lies behind more than {_DEEPEST} edges")
            for edge, child in self.nodes[number].children.items():
                if child not in seen:
                    seen.add(child)
                    waiting.append((child, (*path, edge)))


def _parse_node(message: bytes) -> Node:
    children: dict[str, int] = {}
    slots = []
    key = ""
    for field, value in read_fields(message):
        if field == 1:
            edge = dict(read_fields(as_bytes(value)))
            children[as_bytes(edge.get(2, b"")).decode()] = as_int(edge.get(1, 0))
        elif field == 2:
            attribute = {n: as_bytes(v) for n, v in read_fields(as_bytes(value)) if n in (1, 3)}
            if attribute.get(1, b"").decode() == _VALUE:
                key = attribute.get(3, b"").decode()
        elif field == 3:
            slots.append(as_int(dict(read_fields(as_bytes(value))).get(3, 0)))
    return Node(children, key, tuple(slots))
