"""What an importer brings, and whether it is all that a model needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from paddlevideo.convert.movinet_names import describe
from paddlevideo.utils.damage import shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.nodes import Node

_SHOWN = 5


@dataclass(frozen=True)
class ImportedWeights:
    """Weights of another implementation under our names and in our layout.

    Attributes:
        source: the file, for messages.
        arrays: ``{our name: array}``.
        unknown: names in the file that belong to the network but to no MoViNet known here.
        left_over: ``{name in the file: why it is no weight of the network}``.
        model: the registered name of the file's model, where the file shows it.
        options: those of its options that the file shows.
        class_names: in label order, where the file has them.
        scaling: MODEL.scaling that the network needs; None: the default.
    """

    source: str
    arrays: dict[str, np.ndarray]
    unknown: list[str] = field(default_factory=list)
    left_over: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    options: Node = field(default_factory=dict)
    class_names: list[str] | None = None
    scaling: Node | None = None

    def require_fit(self, shapes: Mapping[str, Sequence[int]], model_name: str) -> None:
        """Raise `WeightsError` unless these are all weights of a model and nothing else.

        Args:
            shapes: ``{name: shape}`` of the model.
            model_name: for the message.
        """
        found = {name: list(array.shape) for name, array in self.arrays.items()}
        expected = {name: list(shape) for name, shape in shapes.items()}
        problems = {
            "missing in the file": [name for name in expected if name not in found],
            "unknown to the model": [
                *(name for name in found if name not in expected),
                *self.unknown,
            ],
            "of another shape": [
                f"{name} (model {expected[name]}, file {found[name]})"
                for name in expected
                if name in found and expected[name] != found[name]
            ],
        }
        if any(problems.values()):
            raise WeightsError(
                self._mismatch(describe(expected), describe(found), problems, model_name)
            )

    def _mismatch(
        self,
        expected: Mapping[str, str],
        found: Mapping[str, str],
        problems: Mapping[str, list[str]],
        model_name: str,
    ) -> str:
        lines = [f"{self.source} does not fit {model_name}; nothing was loaded."]
        lines += [
            f"  {what}: expected {expected[what]}, found {found[what]}"
            for what in expected
            if expected[what] != found[what]
        ]
        for title, names in problems.items():
            if names:
                more = ", ..." if len(names) > _SHOWN else ""
                lines.append(
                    f"  {len(names)} {title}: {', '.join(map(shown, names[:_SHOWN]))}{more}"
                )
        return "\n".join(lines)


def by_reason(left_over: Mapping[str, str]) -> dict[str, list[str]]:
    """Group what was left over: ``{why: [names]}``."""
    groups: dict[str, list[str]] = {}
    for name, reason in left_over.items():
        groups.setdefault(reason, []).append(name)
    return groups


def sort_out(
    names: Sequence[str], reason_of: Callable[[str], str | None]
) -> tuple[list[str], dict[str, str]]:
    """Split names that no table has into those of the network (no reason) and those left over."""
    reasons = {name: reason_of(name) for name in names}
    unknown = [name for name, reason in reasons.items() if reason is None]
    return unknown, {name: reason for name, reason in reasons.items() if reason is not None}
