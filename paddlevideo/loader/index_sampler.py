"""Which samples, in which order, in which batch, on which rank: a function of (seed, epoch)."""

import numpy as np

from paddlevideo.utils.randomness import Stream, generator


class IndexSampler:
    """Splits the samples of an epoch into batches of one rank.

    Training: every rank gets the same number of full batches. What does not fill a batch on every
    rank is left out in this epoch (another part each epoch, when shuffled); a set smaller than one
    such global batch is repeated to fill exactly one. Evaluation: rank r takes samples r, r + W,
    r + 2W, ... of W ranks; nothing is padded, repeated or left out, the last batch may be short.

    Args:
        num_samples: size of the data set.
        batch_size: per rank.
        training: see above.
        shuffle: order by a permutation drawn from (seed, epoch); else as listed.
        seed: of the run.
        rank, world_size: this process and the number of processes.

    Raises:
        ValueError: a size below 1 or a rank outside the world.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        training: bool,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if min(num_samples, batch_size, world_size) < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"num_samples {num_samples}, batch_size {batch_size} and world_size {world_size} "
                f"must be at least 1, and rank {rank} below world_size"
            )
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.training = training
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        """Batches per epoch of this rank."""
        if self.training:
            return max(1, self.num_samples // (self.batch_size * self.world_size))
        own = len(range(self.rank, self.num_samples, self.world_size))
        return -(-own // self.batch_size)

    @property
    def most_batches(self) -> int:
        """Batches per epoch of the rank that has the most of them: the first."""
        if self.training:
            return len(self)
        first = len(range(0, self.num_samples, self.world_size))
        return -(-first // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of all samples in this epoch, the same on every rank, int64 [N]."""
        if not self.shuffle:
            return np.arange(self.num_samples)
        return generator(self.seed, Stream.ORDER, epoch).permutation(self.num_samples)

    def batches(self, epoch: int, start_step: int = 0) -> list[list[int]]:
        """Return this rank's batches of sample numbers, from batch ``start_step`` on."""
        order = self.order(epoch)
        if self.training:
            used = len(self) * self.batch_size * self.world_size
            shape = (len(self), self.world_size, self.batch_size)
            by_step: np.ndarray = np.resize(order, used).reshape(shape)
            return by_step[start_step:, self.rank].tolist()
        own = order[self.rank :: self.world_size].tolist()
        starts = range(start_step * self.batch_size, len(own), self.batch_size)
        return [own[start : start + self.batch_size] for start in starts]
