"""Randomness: a function of the place, whatever was drawn before."""

import itertools

import numpy as np

from paddlevideo.utils.randomness import Stream, device_seed, generator


def draws(*place) -> tuple[int, ...]:
    return tuple(generator(*place).integers(2**62, size=4).tolist())


def test_repeatable_whatever_global_state():
    first = draws(3, Stream.SAMPLE, 1, 2)
    np.random.seed(0)
    generator(3, Stream.SAMPLE, 1, 2).integers(5, size=100)
    assert draws(3, Stream.SAMPLE, 1, 2) == first
    state = np.random.get_state()[1].tolist()
    draws(4, Stream.ORDER, 0)
    assert np.random.get_state()[1].tolist() == state


def test_every_place_differs():
    places = [
        (seed, stream, *place)
        for seed in (0, 1, 2)
        for stream in Stream
        for length in (0, 1, 2, 3)
        for place in itertools.product((1, 2), repeat=length)
    ]
    assert len({draws(*place) for place in places}) == len(places)


def test_purposes_keep_their_numbers():
    """Changing one would change every run that is resumed."""
    assert {stream.name: int(stream) for stream in Stream} == {
        "SAMPLE": 0,
        "ORDER": 1,
        "DEVICE": 3,
        "MIX": 11,
    }


def test_device_seed():
    places = list(itertools.product((0, 1), (0, 1, 2), (0, 1, 2), (0, 1)))
    seeds = [device_seed(*place) for place in places]
    assert len(set(seeds)) == len(places)
    assert seeds == [device_seed(*place) for place in places]
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)
