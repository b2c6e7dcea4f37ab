"""`TensorMemory`: nobody gets what another has, and the whole stays as small as what is in use."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.runtime.engines.compiled.tensor_memory import TensorMemory

FLOAT_BYTES = 4
BLOCK_BYTES = 4 << 20
SIZES = st.one_of(st.integers(1, 100_000), st.integers(1, 1_300_000))  # also above a block


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(SIZES, st.integers(0, 9)), min_size=1, max_size=25))
def test_nobody_gets_what_another_has(steps):
    memory = TensorMemory()
    held = []
    for number, (size, choice) in enumerate(steps):
        if held and choice < 5:
            gone, waiting, value = held.pop(choice % len(held))
            assert gone.floats[0] == gone.floats[-1] == value
            waiting.append(gone)
        taken, waiting = memory.take(size)
        assert taken.floats.size == size and taken.address == taken.floats.ctypes.data
        assert taken.address % 64 == 0
        taken.floats[0] = taken.floats[-1] = number
        held.append((taken, waiting, number))
    spans = sorted((one.address, one.address + one.floats.nbytes) for one, _, _ in held)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert all(one.floats[0] == one.floats[-1] == value for one, _, value in held)


def test_the_same_sizes_come_from_where_they_were():
    memory = TensorMemory()
    first, waiting = memory.take(1000)
    waiting.append(first)
    assert memory.take(1000)[0] is first
    assert memory.take(1000)[0] is not first


def test_changing_sizes_need_no_more_than_what_is_in_use():
    """Batches of many sizes: a list for each size would hold all of them."""
    memory, chance = TensorMemory(), random.Random(0)
    rows, floats = 8, 20_000
    held = []
    most = early = 0
    by_size = {}
    for step in range(1500):
        for taken, waiting in held:
            waiting.append(taken)
        left, held = rows * 16, []
        while left:
            part = min(chance.randint(1, rows), left)
            held.append(memory.take(part * floats))
            left -= part
        for size in {taken.floats.nbytes for taken, _ in held}:
            number = sum(taken.floats.nbytes == size for taken, _ in held)
            by_size[size] = max(by_size.get(size, 0), number)
        most = max(most, sum(taken.floats.nbytes for taken, _ in held))
        if step == 500:
            early = memory.num_bytes
    assert memory.num_bytes <= early + BLOCK_BYTES
    assert memory.num_bytes <= 1.3 * most + BLOCK_BYTES
    assert memory.num_bytes < sum(size * number for size, number in by_size.items()) * 0.7


def test_threads_share_it():
    memory = TensorMemory()

    def use(seed):
        chance = random.Random(seed)
        for _ in range(300):
            taken, waiting = memory.take(chance.choice((100, 5000, 70_000)) * chance.randint(1, 3))
            taken.floats[:] = seed
            assert np.all(taken.floats == seed)
            waiting.append(taken)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, range(1, 9)))
    assert memory.num_bytes <= 8 * 3 * 70_000 * FLOAT_BYTES + BLOCK_BYTES
