"""Each mix against its formula in NumPy, on clips of several dtypes and sizes, with both labels."""

import math

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.loader.mixing import MIXES, Cutmix, Mixup, SwitchMix, VideoMix
from paddlevideo.loader.mixing.cuboid import draw_span
from paddlevideo.loader.mixing.mix import partners
from paddlevideo.utils.errors import ConfigError

EXAMPLES = {
    "Mixup": {"alpha": 0.8},
    "Cutmix": {"alpha": 1.0},
    "VideoMix": {"mode": "spatiotemporal"},
    "SwitchMix": {"mixes": [{"name": "Mixup"}, {"name": "Cutmix"}]},
}


def rng(seed=0):
    return np.random.default_rng(seed)


def batch_of(size=4, num_frames=5, height=12, width=16, dtype="uint8", several=False):
    """Clip b has label b + 10 and random pixels."""
    pixels = rng(size).integers(0, 256, (size, num_frames, 3, height, width)).astype(dtype)
    clips = {"clip": pixels}
    if several:
        clips = {"clip_small": pixels, "clip_large": pixels.repeat(2, axis=3)}
    batch = {**clips, "label": np.arange(size) + 10, "index": np.arange(size)}
    return {name: paddle.to_tensor(array) for name, array in batch.items()}


def as_arrays(batch):
    return {name: tensor.numpy() for name, tensor in batch.items()}


def shares_of(mixed, batch):
    """The share of every clip that is its own pixels, and of its partner's, where they differ."""
    (own,) = [batch["clip"]]
    partner = own[partner_of(mixed, batch)]
    differ = own != partner
    return ((mixed["clip"] == own) & differ).sum() / differ.sum()


def partner_of(mixed, batch):
    """The number of each clip's partner, by the labels."""
    pair = np.stack([mixed["label"], mixed["mixed_label"]]) - 10
    own = np.arange(len(batch["label"]))
    assert (pair == own).sum(axis=0).tolist() == [1] * len(own)
    return np.where(pair[0] == own, pair[1], pair[0])


def own_share(mixed):
    """The share of the clips as they were: the larger one if their labels came first."""
    weight = float(mixed["mix_weight"])
    is_first = mixed["label"] - 10 == np.arange(len(mixed["label"]))
    assert is_first.all() or not is_first.any()
    return weight if is_first.all() else 1.0 - weight


def test_every_mix_is_listed_here():
    assert set(MIXES) == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
class TestContract:
    @settings(deadline=None, max_examples=25)
    @given(st.integers(2, 6), st.sampled_from(["uint8", "float32"]), st.integers(0, 99))
    def test_a_batch_of_any_kind(self, name, size, dtype, seed):
        """The argument stays; both labels; the larger share first; one draw gives one result."""
        mix = MIXES.build({"name": name, **EXAMPLES[name]}, "MIX")
        batch = batch_of(size, dtype=dtype)
        before = as_arrays(batch)
        mixed = mix(batch, rng(seed))
        again = as_arrays(mix(batch, rng(seed)))
        assert 0.5 <= float(mixed["mix_weight"]) <= 1.0
        assert mixed["mix_weight"].dtype == paddle.float32 and mixed["mix_weight"].shape == []
        for key, array in before.items():
            np.testing.assert_array_equal(batch[key].numpy(), array)
        for key, array in as_arrays(mixed).items():
            np.testing.assert_array_equal(array, again[key])
        partner_of(as_arrays(mixed), before)
        assert mixed["clip"].shape == batch["clip"].shape
        assert str(mixed["clip"].dtype).split(".")[-1] in (dtype, "float32")
        np.testing.assert_array_equal(mixed["index"].numpy(), before["index"])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("seed", range(6))
def test_mixup(dtype, seed):
    """s * x + (1 - s) * x[partner] in float32, of beta's own draw; of every input."""
    batch = batch_of(5, dtype=dtype, several=True)
    before, mixed = as_arrays(batch), as_arrays(Mixup(0.7)(batch, rng(seed)))
    partner, share = partner_of(mixed, before), own_share(mixed)
    draw = rng(seed)
    draw.permutation(5)
    assert share == pytest.approx(draw.beta(0.7, 0.7), abs=1e-6)
    for name in ("clip_small", "clip_large"):
        pixels = before[name].astype(np.float64)
        assert mixed[name].dtype == np.float32
        expected = share * pixels + (1 - share) * pixels[partner]
        np.testing.assert_allclose(mixed[name], expected, atol=1e-3)


def box_of(mixed, before):
    """The spans of what was put in, from pixels that differ; None where nothing was."""
    own = before["clip"]
    changed = (mixed["clip"] != own).any(axis=(0, 2))
    if not changed.any():
        return None
    return [
        (int(places.min()), int(places.max()) + 1) for places in map(np.unique, changed.nonzero())
    ]


MODES = {
    "cutmix": (Cutmix(1.0), (False, True, True)),
    "spatial": (VideoMix("spatial"), (False, True, True)),
    "temporal": (VideoMix("temporal"), (True, False, False)),
    "spatiotemporal": (VideoMix("spatiotemporal"), (True, True, True)),
}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(8))
def test_cuboids(mode, dtype, seed):
    """x outside of the cuboid, x[partner] inside; the weight is the share that really is its own.

    Nothing lies in the channels, as it does in PaddleVideo's CutMix of clips.
    """
    mix, cut = MODES[mode]
    batch = batch_of(4, 6, 14, 20, dtype)
    before, mixed = as_arrays(batch), as_arrays(mix(batch, rng(seed)))
    assert mixed["clip"].dtype == dtype
    spans = box_of(mixed, before)
    if spans is None:
        assert float(mixed["mix_weight"]) == 1.0
        return
    sizes = (6, 14, 20)
    for (start, stop), size, is_cut in zip(spans, sizes, cut, strict=True):
        assert is_cut or (start, stop) == (0, size)
    (t0, t1), (y0, y1), (x0, x1) = spans
    expected = before["clip"].copy()
    partner = partner_of(mixed, before)
    expected[:, t0:t1, :, y0:y1, x0:x1] = before["clip"][partner][:, t0:t1, :, y0:y1, x0:x1]
    np.testing.assert_array_equal(mixed["clip"], expected)
    volume = (t1 - t0) * (y1 - y0) * (x1 - x0) / math.prod(sizes)
    assert own_share(mixed) == pytest.approx(1 - volume, abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_cuboids_are_as_large_as_drawn(mode):
    """Of those that the border does not cut, the volume is 1 - s to the rounding of its sides."""
    mix, cut = MODES[mode]
    size, found = 60, 0
    clip = np.stack([np.zeros((60, 3, 60, 60)), np.ones((60, 3, 60, 60))]).astype("uint8")
    batch = {"clip": paddle.to_tensor(clip), "label": paddle.to_tensor([10, 11])}
    for seed in range(90):
        draw = rng(seed)
        draw.permutation(2)
        put = 1 - draw.beta(1.0, 1.0)
        mixed = as_arrays(mix(batch, rng(seed)))
        spans = box_of(mixed, as_arrays(batch))
        along = [b - a for (a, b), is_cut in zip(spans or [], cut, strict=False) if is_cut]
        inside = [
            0 < a and b < size for (a, b), is_cut in zip(spans or [], cut, strict=False) if is_cut
        ]
        if spans is None or not all(inside):
            continue
        found += 1
        for side in along:
            assert abs(side - size * put ** (1 / len(along))) <= 1.0
    assert found >= 3


def test_spans_are_centred_on_every_point_alike():
    """A pixel near the border is put in about half as often as one in the middle."""
    hits = np.zeros(40)
    for seed in range(4000):
        start, stop = draw_span(0.3, 40, rng(seed))
        assert 0 <= start <= stop <= 40 and stop - start <= 13
        hits[start:stop] += 1
    hits /= 4000
    np.testing.assert_allclose(hits[10:30], 0.3, atol=0.03)
    assert hits[0] == pytest.approx(0.16, abs=0.03)


@given(st.integers(1, 50), st.integers(0, 99))
def test_every_clip_has_another_partner(size, seed):
    found = partners(size, rng(seed))
    assert sorted(found) == list(range(size))
    assert size == 1 or (found != np.arange(size)).all()


def test_partners_are_drawn_alike():
    counts = np.zeros((4, 4))
    for seed in range(3000):
        counts[np.arange(4), partners(4, rng(seed))] += 1
    np.testing.assert_allclose(counts[~np.eye(4, dtype=bool)] / 3000, 1 / 3, atol=0.04)


def test_a_switch_draws_by_its_weights():
    """Mixup makes floats of uint8, Cutmix does not: which was drawn shows."""
    mix = SwitchMix([{"name": "Mixup"}, {"name": "Cutmix"}], [3.0, 1.0])
    batch = batch_of(2, 1, 4, 4)
    drawn = [str(mix(batch, rng(seed))["clip"].dtype) for seed in range(400)]
    assert sum("float32" in dtype for dtype in drawn) / 400 == pytest.approx(0.75, abs=0.08)
    assert not mix.takes_several_inputs
    assert SwitchMix([{"name": "Mixup"}, {"name": "Mixup", "alpha": 1.0}]).takes_several_inputs


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "Mixup", "alpha": 0.0}, "MIX.alpha: .*greater than or equal to 0.01"),
        ({"name": "Cutmix", "alhpa": 1.0}, 'MIX: unknown argument "alhpa"'),
        ({"name": "VideoMix", "mode": "time"}, "MIX.mode"),
        ({"name": "Cutmixup"}, 'unknown mix "Cutmixup"; did you mean "Cutmix"'),
        ({"name": "SwitchMix", "mixes": [{"name": "Mixup"}]}, "fewer than two"),
        ({"name": "SwitchMix", "mixes": []}, "fewer than two"),
        (
            {"name": "SwitchMix", "mixes": [{"name": "Mixup"}, {"name": "Mix"}]},
            r"MIX.mixes\[1\].name: unknown mix",
        ),
        ({**EXAMPLES["SwitchMix"], "name": "SwitchMix", "weights": [1.0]}, "weights must be"),
        ({**EXAMPLES["SwitchMix"], "name": "SwitchMix", "weights": [1.0, 0.0]}, "weights must be"),
    ],
)
def test_what_cannot_be_is_refused(node, message):
    with pytest.raises(ConfigError, match=message):
        MIXES.build(node, "MIX")
