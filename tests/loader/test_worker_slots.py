"""The memory that a worker writes batches into; what does not fit comes all the same."""

import mmap
import weakref

import numpy as np
import pytest

from paddlevideo.loader.workers import _from_slot, _InSlot, _Slot


@pytest.fixture
def memory():
    with mmap.mmap(-1, 4096) as opened:
        yield opened


def test_a_batch_that_does_not_fit_comes_through_the_pipe(memory):
    slot, rng = _Slot(memory), np.random.default_rng(0)
    batch = {}
    for name, size in (("a", 1000), ("b", 3500), ("c", 1900), ("d", 900)):
        batch[name] = slot.room_for((size,), np.dtype(np.uint8))
        batch[name][:] = rng.integers(0, 256, size)
    sent = slot.answer(batch)
    places = {name for name, value in sent.items() if isinstance(value, _InSlot)}
    assert places == {"a", "c", "d"}  # of b there was no room, and what is smaller still fits
    for name, value in sent.items():
        np.testing.assert_array_equal(_from_slot(value, memory), batch[name], err_msg=name)
    del batch, sent, value, slot  # views of the memory, which is closed next


def test_arrays_in_it_do_not_overlap(memory):
    slot = _Slot(memory)
    arrays = [slot.room_for((3, 7), np.dtype(np.float32)) for _ in range(20)]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [array.max() for array in arrays] == [array.min() for array in arrays] == [*range(20)]
    del arrays, array, slot


def test_what_took_the_place_of_an_array_is_not_taken_for_it(memory):
    """Arrays are known by identity, which another one could get once the first is gone."""
    slot = _Slot(memory)
    given = slot.room_for((8,), np.dtype(np.uint8))
    is_there, identity = weakref.ref(given), id(given)
    del given
    assert is_there() is not None  # so that no other array gets its identity
    others = [np.full(8, 7, np.uint8) for _ in range(100)]
    assert identity not in map(id, others)
    sent = slot.answer({"clip": others[0]})
    assert sent["clip"] is others[0]
    del slot
