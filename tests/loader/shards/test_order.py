"""The order of shards: each sample once, near its place, a function of (seed, epoch)."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.loader.class_balance import ClassBalance
from paddlevideo.loader.index_sampler import IndexSampler
from paddlevideo.loader.shards.order import shard_order
from paddlevideo.utils.randomness import Stream, generator

counts = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def shards_of(counts):
    return np.repeat(np.arange(len(counts)), counts)


@given(counts, st.integers(1, 60), st.integers(0, 5))
def test_each_sample_once_and_within_reach_of_its_place(counts, reach, epoch):
    shard_of = shards_of(counts)
    order = shard_order(shard_of, reach, generator(0, Stream.ORDER, epoch))
    assert sorted(order.tolist()) == list(range(len(shard_of)))
    # The walk that the order is near to: that of the same draws with the least reach.
    walk = shard_order(shard_of, 1, generator(0, Stream.ORDER, epoch))
    runs = [shard for shard, _ in itertools.groupby(shard_of[walk].tolist())]
    assert sorted(runs) == list(range(len(counts)))  # shard after shard
    place = np.empty(len(walk), int)
    place[walk] = np.arange(len(walk))
    assert np.abs(place[order] - np.arange(len(order))).max() < reach


def test_the_order_is_of_seed_and_epoch_and_mixes():
    shard_of = shards_of([50] * 10)
    orders = [
        shard_order(shard_of, 100, generator(seed, Stream.ORDER, epoch)).tolist()
        for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert orders[0] == orders[1] and orders[0] != orders[2] and orders[0] != orders[3]
    batches = np.array(shard_of[orders[0]]).reshape(-1, 50)
    assert np.mean([len(set(batch)) for batch in batches]) > 2  # of several shards


@given(
    counts, st.integers(1, 50), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3),
    st.booleans(), st.data(),
)  # fmt: skip
def test_ranks_share_an_epoch_and_any_start_goes_on(
    counts, reach, batch_size, world_size, epoch, training, data
):
    shard_of = shards_of(counts)

    def sampler(rank):
        return IndexSampler(
            len(shard_of), batch_size, training, True, 3, rank, world_size,
            order_of=lambda rng, drawn: shard_order(shard_of, reach, rng, drawn),
        )  # fmt: skip

    batches = [sampler(rank).batches(epoch) for rank in range(world_size)]
    indices = [i for of_rank in batches for batch in of_rank for i in batch]
    found = np.bincount(indices, minlength=len(shard_of))
    if not training:
        assert (found == 1).all()
    elif len(shard_of) >= batch_size * world_size:  # what fills no batch on all ranks is left out
        assert found.max() == 1
        assert len(shard_of) - found.sum() < batch_size * world_size
    start = data.draw(st.integers(0, max(map(len, batches)) + 1))
    for rank, of_rank in enumerate(batches):
        assert sampler(rank).batches(epoch, start) == of_rank[start:]


@given(counts, st.integers(1, 30), st.integers(0, 3))
def test_balanced_draws_are_those_of_the_balance(counts, reach, epoch):
    shard_of = shards_of(counts)
    labels = np.arange(len(shard_of)) % 5 // 3
    drawn = ClassBalance(labels, "classes").order(generator(1, Stream.ORDER, epoch))
    order = shard_order(shard_of, reach, generator(1, Stream.ORDER, epoch, 1), drawn)
    assert sorted(order.tolist()) == sorted(drawn.tolist())


def test_draws_of_one_sample_lie_apart_and_classes_stay_mixed():
    shard_of = shards_of([100] * 20)
    labels = (np.arange(2000) % 20 == 0).astype(int)  # one in twenty
    rng = generator(0, Stream.ORDER, 0)
    order = shard_order(shard_of, 100, rng, ClassBalance(labels, "classes").order(rng))
    shares = labels[order].reshape(10, 200).mean(axis=1)
    assert shares.min() > 0.35 and shares.max() < 0.65
    rare = order[labels[order] == 1]
    places = np.flatnonzero(order == rare[0])
    assert len(places) >= 9 and np.ptp(places) > 1000


def test_other_data_sets_keep_their_order():
    """What trainings of lists drew before there were shards."""
    rng = generator(7, Stream.ORDER, 2)
    expected = rng.permutation(30)
    assert IndexSampler(30, 4, True, True, 7).order(2).tolist() == expected.tolist()
    balance = ClassBalance([0] * 20 + [1] * 10, "sqrt")
    drawn = balance.order(generator(7, Stream.ORDER, 2)).tolist()
    assert IndexSampler(30, 4, True, True, 7, balance=balance).order(2).tolist() == drawn


@pytest.mark.parametrize("reach", [1, 1000])
def test_a_million_samples(reach):
    order = shard_order(shards_of([5000] * 200), reach, generator(0, Stream.ORDER, 0))
    assert len(order) == 1_000_000
