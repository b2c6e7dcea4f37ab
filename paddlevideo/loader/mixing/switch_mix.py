"""`SwitchMix`: one of several mixes for each batch."""

from collections.abc import Mapping, Sequence

import numpy as np
from paddle import Tensor

from paddlevideo.loader.mixing.mix import MIXES, BatchMix
from paddlevideo.utils.errors import ArgumentError
from paddlevideo.utils.nodes import Node


@MIXES.register
class SwitchMix(BatchMix):
    """Draw one of ``mixes`` for each batch.

    Args:
        mixes: nodes such as ``{name: Mixup, alpha: 0.8}``.
        weights: how often each is drawn, in any unit; by default all alike.
        where: YAML path of the section, for messages.
    """

    def __init__(
        self, mixes: list[Node], weights: list[float] | None = None, where: str = "MIX"
    ) -> None:
        self.mixes: Sequence[BatchMix] = [
            MIXES.build(node, f"{where}.mixes[{number}]") for number, node in enumerate(mixes)
        ]
        if len(mixes) < 2:
            raise ArgumentError("mixes has fewer than two; write a single one as MIX itself")
        given = [1.0] * len(mixes) if weights is None else weights
        if len(given) != len(mixes) or min(given) <= 0:
            raise ArgumentError(
                f"weights must be a number above 0 for each of {len(mixes)} mixes, got {weights}"
            )
        self.takes_several_inputs = all(mix.takes_several_inputs for mix in self.mixes)
        self.shares = np.array(given) / sum(given)

    def mix(
        self, clips: Mapping[str, Tensor], partner_B: Tensor, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], float]:
        """Return what the drawn mix makes of the clips."""
        number = int(rng.choice(len(self.mixes), p=self.shares))
        return self.mixes[number].mix(clips, partner_B, rng)
