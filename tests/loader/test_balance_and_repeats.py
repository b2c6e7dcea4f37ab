"""Which clips an epoch draws when classes are balanced or clips repeated, and what they draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.test_clip_loader import arrays, build
from paddlevideo.loader import ClipLoader, IndexSampler
from paddlevideo.loader.class_balance import ClassBalance

LABELS = np.repeat([0, 1, 2], [60, 30, 10])


def of_all_ranks(num_samples, batch_size, world_size, **options):
    return [
        IndexSampler(num_samples, batch_size, True, True, 5, rank, world_size, **options)
        for rank in range(world_size)
    ]


def rng(seed=0):
    return np.random.default_rng(seed)


class TestBalance:
    @pytest.mark.parametrize(("balance", "power"), [("none", 1.0), ("sqrt", 0.5), ("classes", 0.0)])
    def test_shares(self, balance, power):
        """n**p / sum(n**p), rounded up or down in every epoch, exact in the mean."""
        balancer = ClassBalance(LABELS, balance)
        expected = np.array([60, 30, 10]) ** power
        expected = expected / expected.sum()
        np.testing.assert_allclose(balancer.shares, expected)
        epochs = [np.bincount(LABELS[balancer.order(rng(epoch))]) for epoch in range(400)]
        assert all(np.abs(counts - 100 * expected).max() < 1 for counts in epochs)
        np.testing.assert_allclose(np.mean(epochs, axis=0), 100 * expected, atol=0.12)

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(0, 9))
    def test_clips_of_a_class_are_drawn_alike(self, labels, seed):
        for balance in ("sqrt", "classes"):
            order = ClassBalance(labels, balance).order(rng(seed))
            assert len(order) == len(labels)
            counts = np.bincount(order, minlength=len(labels))
            for label in set(labels):
                assert np.ptp(counts[np.array(labels) == label]) <= 1

    def test_ranks_share_an_epoch_without_overlap(self):
        """A clip that is drawn again is another draw of it: every entry occurs once."""
        balance = ClassBalance(LABELS, "classes")
        samplers = of_all_ranks(100, 5, 2, balance=balance)
        batches = np.array([sampler.batches(3) for sampler in samplers])
        assert batches.shape == (2, 10, 5)
        entries = batches.ravel()
        assert len(set(entries)) == 100
        drawn = np.bincount(entries % 100, minlength=100)
        assert drawn[LABELS == 2].min() >= 3 and drawn.sum() == 100
        for clip, count in enumerate(drawn):
            own = sorted(entries[entries % 100 == clip] // 100)
            assert own == list(range(count))

    def test_another_epoch_draws_others_and_a_resumed_one_the_same(self):
        (sampler,) = of_all_ranks(100, 5, 1, balance=ClassBalance(LABELS, "sqrt"))
        assert sampler.batches(0) != sampler.batches(1)
        assert sampler.batches(1, 7) == sampler.batches(1)[7:]


class TestRepeats:
    @settings(deadline=None)
    @given(st.integers(1, 90), st.integers(1, 4), st.integers(1, 3), st.sampled_from([2, 3]))
    def test_a_step_holds_each_of_its_clips_so_many_times(self, size, batch, ranks, repeats):
        batch_size = batch * repeats
        samplers = of_all_ranks(size, batch_size, ranks, repeats=repeats)
        batches = np.array([sampler.batches(1) for sampler in samplers])
        steps = max(1, size // (batch_size * ranks))
        assert batches.shape == (ranks, steps, batch_size)
        for step in range(steps):
            of_step = batches[:, step].ravel()
            if size >= batch_size * ranks:
                counts = np.bincount(of_step % size)
                assert set(counts[counts > 0]) == {repeats}
        entries = batches.ravel()
        assert len(set(entries)) == len(entries)

    def test_copies_lie_on_different_ranks(self):
        samplers = of_all_ranks(64, 4, 2, repeats=2)
        for step in range(8):
            first, second = (sorted(i % 64 for i in s.batches(0)[step]) for s in samplers)
            assert first == second and len(set(first)) == 4

    def test_all_clips_come_by_within_some_epochs(self):
        (sampler,) = of_all_ranks(40, 8, 1, repeats=4)
        seen = {i % 40 for epoch in range(30) for batch in sampler.batches(epoch) for i in batch}
        assert seen == set(range(40))

    def test_once_is_as_before(self):
        plain = IndexSampler(23, 3, True, True, 5, 1, 2)
        assert plain.batches(4) == of_all_ranks(23, 3, 2, repeats=1)[1].batches(4)

    def test_what_does_not_divide(self):
        with pytest.raises(ValueError, match="repeats is 3, which does not divide"):
            of_all_ranks(20, 4, 1, repeats=3)


def test_each_copy_is_a_draw_of_its_own(video_dir):
    """Other crops and mirrors of one clip; the same with workers, and in a resumed epoch."""
    names = [(f"v{i}.mp4", i % 2) for i in range(6)]
    dataset = build(video_dir, names, training=True, seed=3)
    loaders = [
        ClipLoader(dataset, 4, training=True, seed=3, repeats=2, num_workers=workers)
        for workers in (0, 2)
    ]
    first, second = (arrays(loader.epoch(0)) for loader in loaders)
    assert len(first) == 1 and sorted(np.bincount(first[0]["index"]))[-2:] == [2, 2]
    for ours, theirs in zip(first, second, strict=True):
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name])
    several = [batch for epoch in range(8) for batch in arrays(loaders[0].epoch(epoch))]
    differ = []
    for batch in several:
        for number in set(batch["index"]):
            one, other = batch["clip"][batch["index"] == number]
            differ.append(not np.array_equal(one, other))
    assert np.mean(differ) > 0.5


def test_a_loader_that_balances(video_dir):
    names = [(f"v{i}.mp4", int(i == 0)) for i in range(6)]
    dataset = build(video_dir, names, training=True, seed=3)
    loader = ClipLoader(dataset, 2, training=True, balance="classes")
    labels = np.concatenate([batch["label"] for batch in arrays(loader.epochs(0, 4))])
    assert labels.mean() == 0.5 and len(labels) == 24
    assert loader.class_counts(3) == [5, 1, 0]
