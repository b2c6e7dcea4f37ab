"""Several threads on one stream: the same bits, no hang, whoever comes late or not at all."""

import itertools
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from robustness.onnx_programs import RandomProgram, feeds_of, step_program  # noqa: E402
from robustness.shared_streams import everything_shared, run_shared, shared_engine  # noqa: E402

from paddlevideo.runtime.engines import EngineOptions  # noqa: E402
from paddlevideo.runtime.engines.base import UnsupportedProgramError  # noqa: E402
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine  # noqa: E402
from paddlevideo.runtime.engines.compiled.stages import stages_of  # noqa: E402
from paddlevideo.runtime.engines.compiled.table import OPERATION, Split  # noqa: E402
from paddlevideo.runtime.streams.step_runner import StepRunner  # noqa: E402

CPU = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")


def saved(path, model):
    onnx.save(model, str(path))
    return path, [item.name for item in model.graph.output]


@pytest.fixture
def program(tmp_path):
    """An engine of three threads, one of one thread, and what to feed them."""
    path, names = saved(tmp_path / "a.onnx", step_program())
    feeds = feeds_of(step_program(), 0, 1)
    return shared_engine(path, names, 3), CompiledEngine(path, names, CPU), feeds


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(1000, 2000), marks=pytest.mark.slow)]
)
def test_random_programs_in_two_and_three_parts(tmp_path, seeds):
    """Shares of pixels, rows and channels, also more than there are; one to three streams."""
    shared = 0
    for seed in seeds:
        path, names = saved(tmp_path / "a.onnx", RandomProgram(seed).model())
        try:
            alone = CompiledEngine(path, names, CPU)
        except UnsupportedProgramError:
            continue
        feeds = feeds_of(onnx.load(str(path)), seed, 1 + seed % 3)
        expected = alone.run(feeds)
        for parts in (2, 3):
            engine = shared_engine(path, names, parts)
            shared += bool((engine._assembly.table["split"] != Split.NONE).any())
            same(run_shared(engine, feeds), expected)
    assert shared > 0.3 * len(seeds)


@pytest.mark.parametrize("seed", range(12))
def test_guards_hold(tmp_path, monkeypatch, seed):
    """No share reads or writes beyond its map, and together they make all of it."""
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")
    path, names = saved(tmp_path / "a.onnx", RandomProgram(seed).model())
    try:
        engine = shared_engine(path, names, 2 + seed % 2)
    except UnsupportedProgramError:
        pytest.skip("a program of another kind")
    engine.run(feeds_of(onnx.load(str(path)), seed, 1 + seed % 3))


def test_a_session_on_two_threads_is_as_on_one(small_stream):
    one = StepRunner(small_stream, CPU)
    with everything_shared():
        two = StepRunner(
            small_stream, EngineOptions(device="cpu", cpu_threads=2, engine="compiled")
        )
    assert two._engine._team is not None
    video = np.random.default_rng(0).integers(0, 256, (6, 1, *one.frame_shape), np.uint8)
    for frame in video:
        np.testing.assert_array_equal(one.step(frame), two.step(frame))


def test_small_programs_are_left_to_one_thread(small_stream):
    runner = StepRunner(small_stream, EngineOptions(device="cpu", cpu_threads=2, engine="compiled"))
    assert runner._engine._team is None


def test_nobody_waits_for_who_does_not_come(program, monkeypatch):
    engine, alone, feeds = program
    monkeypatch.setattr(engine._team._helpers, "invite", lambda work: None)
    same(run_shared(engine, feeds), alone.run(feeds))


def test_one_that_comes_late_finds_all_done(program, monkeypatch):
    """And one that is alone does all of it."""
    engine, alone, feeds = program
    late = []
    monkeypatch.setattr(engine._team._helpers, "invite", late.append)
    found = run_shared(engine, feeds)
    copies = {name: values.copy() for name, values in found.items()}
    for work, part in itertools.product(late, (1, 2)):
        work(part)
    same(found, copies)
    monkeypatch.setattr(engine._team._helpers, "invite", lambda work: work(2))
    same(run_shared(engine, feeds), alone.run(feeds))


def test_a_busy_machine_does_not_make_it_hang(program):
    """More threads than cores, and processes that use them too: bounded, and the same bits."""
    engine, alone, feeds = program
    expected = alone.run(feeds)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in "ab"]
    done = []

    def run():
        for _ in range(25):
            same(run_shared(engine, feeds), expected)
        done.append(True)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        for process in others:
            process.kill()
            process.wait()
    assert len(done) == 2


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupts(program):
    """Ctrl-C comes between two runs or in one: the engine goes on afterwards."""
    engine, alone, feeds = program

    fired = []

    def interrupt(number, frame):
        fired.append(number)
        raise KeyboardInterrupt  # lost where it comes while a tensor is given back

    expected = alone.run(feeds)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(20):
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.0003 * number)
                while len(fired) <= number:
                    run_shared(engine, feeds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(fired) == 20
    same(run_shared(engine, feeds), expected)


def test_helpers_end_with_their_engine(program):
    engine, _, feeds = program
    before = threading.enumerate()
    run_shared(engine, feeds)
    threads = [thread for thread in threading.enumerate() if thread not in before]
    assert len(threads) == 2
    engine._team = None
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_what_follows_each_other_unshared_is_one_stage():
    table = np.zeros(6, OPERATION)
    table["split"][[1, 4]] = Split.PIXELS, Split.CHANNELS
    assert stages_of(table, 2).tolist() == [[0, 1, 1], [1, 2, 2], [2, 4, 1], [4, 5, 2], [5, 6, 1]]
