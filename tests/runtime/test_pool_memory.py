"""The memory of a pool: a fixed number of bytes a stream, however streams come, go and lag."""

import gc
import random
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("paddle2onnx")

from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.compiled import stream_rows, tensor_memory
from paddlevideo.runtime.predictor import open_predictor
from paddlevideo.runtime.streams.pool_batch import PoolBatch, Work
from paddlevideo.runtime.streams.step_runner import StepRunner

OPTIONS = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")
STREAMS, ROWS = 24, 8
LARGE_PAGE = 2 << 20


@pytest.fixture
def blocks(monkeypatch):
    """Bytes of each block that was asked for, by who asked."""
    asked = {"rows": [], "results": []}
    real = stream_rows.new_block

    def counted(name):
        def new_block(size):
            block = real(size)
            asked[name].append(block.nbytes)
            return block

        return new_block

    monkeypatch.setattr(stream_rows, "new_block", counted("rows"))
    monkeypatch.setattr(tensor_memory, "new_block", counted("results"))
    return asked


def row_bytes(step):
    """Of a stream: a queue of n tensors has n + 1 places."""
    return sum(4 * (q.length + 1) * int(np.prod(q.shape[1:])) for q in step.queues)


def test_bytes_held_stay_those_of_the_places(small_stream, blocks, monkeypatch):
    """Frames of random rows, streams that leave and come: 5000 steps; nothing is computed."""
    engine = open_engine(small_stream.step_files, OPTIONS)
    monkeypatch.setattr(engine, "_compute", lambda places, batch, frames: None)
    step = small_stream.manifest.step
    frame = np.zeros(step.inputs[0].shape[1:], np.uint8)
    chance = random.Random(0)
    batch = PoolBatch(StepRunner(small_stream, OPTIONS, ROWS, engine), ROWS)
    rows, held = [batch.take_row() for _ in range(ROWS)], []
    tracemalloc.start()
    try:
        for number in range(5001):
            share = chance.choice((0.2, 0.9, 1.0))
            due = [row for row in rows if chance.random() < share] or rows
            batch.step([Work(row, frame, False) for row in due])
            if number % 3 == 0:
                batch.free_row(rows.pop(chance.randrange(ROWS)))
                rows.append(batch.take_row())
            if number in (500, 5000):
                gc.collect()
                held.append((sum(blocks["rows"]), tracemalloc.get_traced_memory()[0]))
    finally:
        tracemalloc.stop()
    assert len(blocks["rows"]) == 1 and not blocks["results"]
    (early, early_objects), (late, late_objects) = held
    assert early == late <= ROWS * row_bytes(step) + LARGE_PAGE
    assert late_objects - early_objects < 50_000


def test_a_pool_takes_one_block_for_each_of_its_batches(small_stream, blocks):
    pool = open_predictor(small_stream, OPTIONS).open_pool(STREAMS, threads=2)
    shape = small_stream.manifest.step.inputs[0].shape
    frame = np.zeros((shape[2], shape[3], 3), np.uint8)
    chance = random.Random(0)
    streams = [pool.open() for _ in range(STREAMS)]
    for _ in range(30):
        for stream in chance.sample(streams, chance.randint(1, STREAMS)):
            stream.push(frame)
        pool.step()
        streams.pop(chance.randrange(STREAMS)).close()
        streams.append(pool.open())
    pool.close()
    assert len(blocks["rows"]) == STREAMS // ROWS and not blocks["results"]


def test_a_session_takes_no_more_after_its_first_frames(small_stream, blocks):
    session = open_predictor(small_stream, OPTIONS).open_stream()
    shape = small_stream.manifest.step.inputs[0].shape
    frame = np.zeros((shape[2], shape[3], 3), np.uint8)
    for number in range(60):
        session.push(frame)
        if number == 10:
            early = sum(blocks["results"])
    assert sum(blocks["results"]) == early <= 2 * tensor_memory._BLOCK_BYTES
    assert not blocks["rows"]
