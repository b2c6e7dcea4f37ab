"""Which samples, in which order: every index exactly once where that is promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.loader import IndexSampler

sizes = given(
    st.integers(1, 200), st.integers(1, 9), st.integers(1, 5), st.booleans(), st.integers(0, 3)
)


def of_all_ranks(num_samples, batch_size, world_size, training, shuffle, seed=0):
    return [
        IndexSampler(num_samples, batch_size, training, shuffle, seed, rank, world_size)
        for rank in range(world_size)
    ]


@sizes
def test_evaluation_covers_every_index_once(num_samples, batch_size, world_size, shuffle, epoch):
    samplers = of_all_ranks(num_samples, batch_size, world_size, False, shuffle)
    batches = [sampler.batches(epoch) for sampler in samplers]
    indices = [i for of_rank in batches for batch in of_rank for i in batch]
    assert sorted(indices) == list(range(num_samples))
    for sampler, of_rank in zip(samplers, batches, strict=True):
        assert len(of_rank) == len(sampler)
        assert all(len(batch) == batch_size for batch in of_rank[:-1])
        assert all(1 <= len(batch) <= batch_size for batch in of_rank)
    if not shuffle:
        own = [i for batch in batches[0] for i in batch]
        assert own == list(range(0, num_samples, world_size))


@sizes
def test_training_is_equal_and_full(num_samples, batch_size, world_size, shuffle, epoch):
    samplers = of_all_ranks(num_samples, batch_size, world_size, True, shuffle)
    batches = [sampler.batches(epoch) for sampler in samplers]
    steps = max(1, num_samples // (batch_size * world_size))
    assert [len(b) for b in batches] == [len(s) for s in samplers] == [steps] * world_size
    assert all(len(batch) == batch_size for of_rank in batches for batch in of_rank)
    indices = [i for of_rank in batches for batch in of_rank for i in batch]
    counts = np.bincount(indices, minlength=num_samples)
    if num_samples >= batch_size * world_size:
        assert counts.max() == 1
    else:
        assert counts.min() >= 1 and counts.max() - counts.min() <= 1


def test_order_depends_on_seed_and_epoch_only():
    def order(seed, epoch):
        return [IndexSampler(50, 4, True, True, seed, r, 2).batches(epoch) for r in (0, 1)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1) and order(1, 0) != order(2, 0)


def test_left_out_samples_change():
    used = [
        {i for batch in IndexSampler(10, 4, True, True).batches(epoch) for i in batch}
        for epoch in range(20)
    ]
    assert set().union(*used) == set(range(10)) and len({frozenset(u) for u in used}) > 1


@pytest.mark.parametrize("training", [True, False])
def test_resume_inside_an_epoch(training):
    sampler = IndexSampler(23, 3, training, True, 0, 1, 2)
    whole = sampler.batches(5)
    for start in range(len(whole) + 2):
        assert sampler.batches(5, start) == whole[start:]


@pytest.mark.parametrize("bad", [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 1, 1), (1, 1, -1, 2)])
def test_bad_sizes(bad):
    num_samples, batch_size, rank, world_size = bad
    with pytest.raises(ValueError, match="at least 1"):
        IndexSampler(num_samples, batch_size, True, True, 0, rank, world_size)
