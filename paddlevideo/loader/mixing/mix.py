"""What a mix is: each clip of a batch gets a part of another one, and of its label."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import paddle
import pydantic
from paddle import Tensor

from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.label_names import LABEL, MIX_WEIGHT, MIXED_LABEL
from paddlevideo.utils.registry import ClassRegistry

# Of a beta distribution: below it almost every draw is 0 or 1, above it almost every one 0.5.
Alpha = Annotated[float, pydantic.Field(ge=0.01, le=100.0)]


class BatchMix(ABC):
    """Mixes the clips of a batch in pairs, all by one draw.

    Attributes:
        takes_several_inputs: whether every clip of a sample is mixed alike; else there may be one.
    """

    takes_several_inputs: bool = False

    def __call__(self, batch: Mapping[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the batch with mixed clips and both labels; it is left as it is.

        ``label`` becomes that of the larger share, so that an answer counts as right by that;
        ``mixed_label`` is the other one and ``mix_weight`` the larger share.

        Args:
            batch: clips [B, T, C, H, W] by name and ``label`` [B], on any device.
            rng: of this step.
        """
        partner_B = paddle.to_tensor(partners(len(batch[LABEL]), rng))
        clips = {name: clip for name, clip in batch.items() if is_clip(name)}
        mixed, weight = self.mix(clips, partner_B, rng)
        labels = batch[LABEL], batch[LABEL][partner_B]
        if weight < 0.5:
            labels, weight = labels[::-1], 1.0 - weight
        return {
            **batch,
            **mixed,
            LABEL: labels[0],
            MIXED_LABEL: labels[1],
            MIX_WEIGHT: paddle.to_tensor(weight, dtype="float32"),
        }

    @abstractmethod
    def mix(
        self, clips: Mapping[str, Tensor], partner_B: Tensor, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], float]:
        """Return the mixed clips, and the share in them of the clips as they were.

        Args:
            clips: [B, T, C, H, W] by name; not to be changed.
            partner_B: for each clip the number of the one it is mixed with, int64.
            rng: to draw from, the same numbers whatever the content of the clips.
        """


MIXES: ClassRegistry[BatchMix] = ClassRegistry("mix", BatchMix)


def is_clip(name: str) -> bool:
    """Whether an entry of a batch is a clip."""
    return name == CLIP or name.startswith(f"{CLIP}_")


def partners(batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """For each clip of a batch another one: the next of a random circle, int64 [B]."""
    circle = rng.permutation(batch_size)
    partner_B: np.ndarray = np.empty(batch_size, np.int64)
    partner_B[circle] = np.roll(circle, -1)
    return partner_B
