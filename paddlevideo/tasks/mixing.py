"""The section MIX: which batches of a training are mixed, and how."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import pydantic
from paddle import Tensor

from paddlevideo.loader.mixing import MIXES, BatchMix
from paddlevideo.modeling.distributed import rank
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.utils.ranges import EpochNumber
from paddlevideo.utils.registry import bind_arguments

_WHERE = "MIX"


@dataclass(frozen=True)
class MixTimes:
    """The keys of MIX that every mix has: when it mixes.

    Attributes:
        probability: of a batch being mixed.
        off_epochs: so many last epochs are not mixed.
    """

    probability: Annotated[float, pydantic.Field(gt=0.0, le=1.0)] = 1.0
    off_epochs: EpochNumber = 0


@dataclass(frozen=True)
class BatchMixing:
    """Mixes the batches of a training; the draws of a step depend on its position and rank alone.

    Attributes:
        mix: None mixes nothing.
        times: when.
        epochs: of the whole training.
        seed: of the run.
    """

    mix: BatchMix | None
    times: MixTimes
    epochs: int
    seed: int

    def __call__(self, batch: dict[str, Tensor], epoch: int, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, mixed or as it is."""
        if self.mix is None or epoch >= self.epochs - self.times.off_epochs:
            return batch
        rng = generator(self.seed, Stream.MIX, epoch, step, rank())
        if rng.random() >= self.times.probability:
            return batch
        return self.mix(batch, rng)


def build_mixing(
    node: ReadNode | None, inputs: Collection[str], batch_size: int, epochs: int, seed: int
) -> BatchMixing:
    """Build what MIX describes, which may be nothing; no file is touched.

    Args:
        node: ``{name: ..., arguments}`` with the keys of `MixTimes`.
        inputs: names of the clips that the model takes.
        batch_size: clips per process and step.
        epochs, seed: of the run.

    Raises:
        ConfigError: an unknown mix or argument, or one that does not fit the rest of the recipe;
            names the YAML path.
    """
    if node is None:
        return BatchMixing(None, MixTimes(), epochs, seed)
    times = MixTimes(**bind_arguments(MixTimes, _part(node, among=True), _WHERE))
    mix = MIXES.build(_part(node, among=False), _WHERE)
    if len(inputs) > 1 and not mix.takes_several_inputs:
        raise ConfigError(
            f"{_WHERE}: {node['name']} puts a part of one clip into another, and this model takes "
            f"{', '.join(inputs)}, of which the same part is another share of each; use Mixup"
        )
    if batch_size < 2:
        raise ConfigError(
            f"{_WHERE}: clips are mixed within a batch, and DATASET.batch_size is {batch_size}; "
            "make it 2 or more"
        )
    if times.off_epochs >= epochs:
        raise ConfigError(
            f"{_WHERE}.off_epochs is {times.off_epochs}, and the run has epochs: {epochs}: nothing "
            "would be mixed; lower it, or remove the section"
        )
    return BatchMixing(mix, times, epochs, seed)


def _part(node: ReadNode, among: bool) -> Node:
    """The keys of ``node`` that are among those of `MixTimes`, or that are not."""
    own = MixTimes.__dataclass_fields__
    return {key: value for key, value in node.items() if (key in own) == among}
