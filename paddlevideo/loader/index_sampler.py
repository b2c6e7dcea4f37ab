"""Which samples, in which order, in which batch, on which rank: a function of (seed, epoch)."""

from collections.abc import Callable

import numpy as np

from paddlevideo.loader.class_balance import ClassBalance
from paddlevideo.loader.shards.order import occurrences
from paddlevideo.utils.randomness import Stream, generator

OrderOf = Callable[[np.random.Generator, np.ndarray | None], np.ndarray]


class IndexSampler:
    """Splits the samples of an epoch into batches of one rank.

    Training: every rank gets the same number of full batches. What does not fill a batch on every
    rank is left out in this epoch (another part each epoch, when shuffled); a set smaller than one
    such global batch is repeated to fill exactly one. Evaluation: rank r takes samples r, r + W,
    r + 2W, ... of W ranks; nothing is padded, repeated or left out, the last batch may be short.

    A batch is a list of *entries*. The entry of a sample is its number; where samples are drawn
    several times in an epoch on purpose (``balance``, ``repeats``), entry ``number + k *
    num_samples`` is draw k of it, which draws other random numbers.

    Args:
        num_samples: size of the data set.
        batch_size: per rank.
        training: see above.
        shuffle: order by a permutation drawn from (seed, epoch); else as listed.
        seed: of the run.
        rank, world_size: this process and the number of processes.
        balance: draws the classes in other shares than they have; in training alone.
        repeats: repeated augmentation (arXiv 1901.09335), in training alone: the batches of one
            step hold each of their samples so many times, on as many ranks as can be. An epoch has
            as many steps as without, with a share of the samples.
        order_of: the order of an epoch, a function of its generator and of the numbers that
            ``balance`` drew (None: of all samples, each once); by default any order is as likely.

    Raises:
        ValueError: a size below 1, a rank outside the world, batches of one step that ``repeats``
            does not divide, or ``balance`` without ``shuffle``.
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
        balance: ClassBalance | None = None,
        repeats: int = 1,
        order_of: OrderOf | None = None,
    ) -> None:
        if min(num_samples, batch_size, world_size) < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"num_samples {num_samples}, batch_size {batch_size} and world_size {world_size} "
                f"must be at least 1, and rank {rank} below world_size"
            )
        if repeats < 1 or batch_size * world_size % repeats:
            raise ValueError(
                f"repeats is {repeats}, which does not divide batch_size x processes = "
                f"{batch_size * world_size}"
            )
        if balance is not None and not shuffle:
            raise ValueError("balance draws an order of its own; it needs shuffle")
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.training = training
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.balance = balance
        self.repeats = repeats
        self._order_of = order_of or self._any_order

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
        """Return the order of all samples in this epoch, the same on every rank, int64 [N].

        With a balance some are in it several times, others not at all.
        """
        if not self.shuffle:
            return np.arange(self.num_samples)
        rng = generator(self.seed, Stream.ORDER, epoch)
        balance = self.balance if self.training else None
        drawn = None if balance is None else balance.order(rng)
        return self._order_of(rng, drawn)

    def _any_order(self, rng: np.random.Generator, drawn: np.ndarray | None) -> np.ndarray:
        return rng.permutation(self.num_samples) if drawn is None else drawn

    def batches(self, epoch: int, start_step: int = 0) -> list[list[int]]:
        """Return this rank's batches of entries, from batch ``start_step`` on."""
        order = self.order(epoch)
        if self.training:
            return self._by_step(order)[start_step:, self.rank].tolist()
        own = order[self.rank :: self.world_size].tolist()
        starts = range(start_step * self.batch_size, len(own), self.batch_size)
        return [own[start : start + self.batch_size] for start in starts]

    def _by_step(self, order: np.ndarray) -> np.ndarray:
        """The entries of all full batches, int64 [steps, world_size, batch_size]."""
        used = len(self) * self.batch_size * self.world_size
        entries: np.ndarray = np.resize(order, used // self.repeats).repeat(self.repeats)
        if self.balance is not None or self.repeats > 1:
            entries = entries + self.num_samples * occurrences(entries)
        if self.repeats > 1:  # neighbours lie on different ranks
            by_place = entries.reshape(len(self), self.batch_size, self.world_size)
            return by_place.transpose(0, 2, 1)
        return entries.reshape(len(self), self.world_size, self.batch_size)
