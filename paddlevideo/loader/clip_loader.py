"""`ClipLoader`: the batches of an epoch for one rank, with or without worker processes."""

from collections.abc import Generator, Iterator

import numpy as np
import paddle

from paddlevideo.loader.batches import BatchReader, OnUnreadable
from paddlevideo.loader.class_balance import Balance, ClassBalance
from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.loader.index_sampler import IndexSampler
from paddlevideo.loader.watch import Patience, watched_here
from paddlevideo.loader.workers import Plan, read_with_workers, workers_are_possible


class ClipLoader:
    """Gives batches of clips; see `batches` for what a batch holds.

    A batch is a function of (seed, epoch, step, rank), whatever the number of workers. Tensors lie
    on the current device.

    Args:
        dataset: samples and their pipeline.
        batch_size: clips per batch and rank.
        training: full batches of the same number on every rank; otherwise every sample exactly
            once over all ranks (see `IndexSampler`).
        num_workers: processes that read ahead; 0 reads in this process when asked, and so does
            every number on a system that cannot fork (Windows).
        shuffle: a new order every epoch; by default in training only.
        seed: of the run.
        rank, world_size: this process and the number of processes.
        on_unreadable: in evaluation, what a sample that cannot be read means: ``error``, or
            ``count_wrong`` (zeros, and ``readable`` is False). In training another takes its place.
        balance: in training, how often the clips of each class are drawn (`ClassBalance`).
        repeats: in training, how often a step holds each of its clips (`IndexSampler`).
        patience: with samples that are read for very long; its time-out is of worker processes.

    Raises:
        ValueError: a size below 1, a rank outside the world, or ``repeats`` that do not divide the
            batches of a step.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        batch_size: int,
        *,
        training: bool,
        num_workers: int = 0,
        shuffle: bool | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        on_unreadable: OnUnreadable = "error",
        balance: Balance = "none",
        repeats: int = 1,
        patience: Patience | None = None,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers must not be negative, got {num_workers}")
        self.dataset = dataset
        self.num_workers = num_workers
        self.patience = patience or Patience()
        self.batch_size = batch_size
        labels = [record.label for record in dataset.records]
        self.index_sampler = IndexSampler(
            len(dataset),
            batch_size,
            training,
            training if shuffle is None else shuffle,
            seed,
            rank,
            world_size,
            ClassBalance(labels, balance) if balance != "none" else None,
            repeats,
            dataset.order,
        )
        self._reader = BatchReader(dataset, on_unreadable)

    def __len__(self) -> int:
        """Batches per epoch of this rank."""
        return len(self.index_sampler)

    @property
    def most_batches(self) -> int:
        """Batches per epoch of the rank that has the most of them."""
        return self.index_sampler.most_batches

    @property
    def num_samples(self) -> int:
        """Samples of the data set, over all ranks."""
        return len(self.dataset)

    def class_counts(self, num_classes: int) -> list[int]:
        """How many samples of the data set each class has; its labels are below ``num_classes``."""
        labels = [record.label for record in self.dataset.records]
        return [int(count) for count in np.bincount(labels, minlength=num_classes)]

    def epoch(self, epoch: int) -> Iterator[dict[str, paddle.Tensor]]:
        """Yield the batches of one epoch.

        Leaving the loop early ends the worker processes.

        Raises:
            DataError: a sample cannot be read, clips differ in shape, or a worker died.
        """
        yield from self._read(Plan(self.index_sampler, epoch, epoch + 1))

    def epochs(
        self, first: int, last: int, start_step: int = 0
    ) -> Generator[dict[str, paddle.Tensor], None, None]:
        """Yield the batches of the epochs ``first`` up to, not including, ``last``.

        The first of them begins with batch ``start_step``.

        The same as one `epoch` after the other, with one set of worker processes, which read
        ahead from one epoch into the next.
        """
        yield from self._read(Plan(self.index_sampler, first, last, start_step))

    def _read(self, plan: Plan) -> Iterator[dict[str, paddle.Tensor]]:
        if self.num_workers and workers_are_possible():
            yield from read_with_workers(self._reader, plan, self.num_workers, self.patience)
            return
        with watched_here(self.dataset, self.patience.warn_seconds) as tell:
            for position in plan:
                tell(True)
                batch = self._reader[position]
                tell(False)
                yield {name: paddle.to_tensor(array) for name, array in batch.items()}
