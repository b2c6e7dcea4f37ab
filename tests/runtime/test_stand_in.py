"""The first start: another engine answers until the compiled one is there, then it goes on."""

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

import paddlevideo
from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines import compile_process as processes
from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compile_process import CompileProcess
from paddlevideo.runtime.engines.compiled import kernel_files
from paddlevideo.runtime.engines.stand_in import StandInEngine
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError
from runtime.conftest import whole_sums
from runtime.test_kernel_files import environment

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ONNX = EngineOptions(device="cpu", cpu_threads=1, engine="onnxruntime")
COMPILED = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")


class Process:
    """In place of the one that compiles: it ends when it is told to."""

    def __init__(self, error=None, is_unsupported=False):
        self.error, self.is_unsupported = error, is_unsupported
        self.ended, self.failures_said = threading.Event(), 0

    def wait(self, is_unwanted):
        while not self.ended.wait(0.01):
            if is_unwanted():
                return False
        return self.error is None and not self.is_unsupported

    def say_failure(self):
        self.failures_said += 1


@pytest.fixture(scope="module")
def bundle(small_stream):
    return small_stream


@pytest.fixture
def process():
    made = Process()
    yield made
    made.error = made.error or "the test is over"
    made.ended.set()


@pytest.fixture
def stand_in(bundle, process):
    engine = open_engine(bundle.step_files, ONNX)
    return StandInEngine(engine, lambda: open_engine(bundle.step_files, COMPILED), lambda: process)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def frames(count, batch, bundle):
    shape = bundle.manifest.step.inputs[0].shape[1:]
    return np.random.default_rng(3).integers(0, 256, (count, batch, *shape), np.uint8)


def answers(bundle, options, shown, engine=None, at=None):
    runner = StepRunner(bundle, options, shown.shape[1], engine)
    found = []
    for number, frames_BCHW in enumerate(shown):
        if number == 7:
            runner.reset(rows=[0])
        if at is not None and number == at[0]:
            at[1]()
        found.append(runner.step(frames_BCHW))
    return np.stack(found), runner


def assert_states_close(found, expected):
    found, expected = whole_sums(found), whole_sums(expected)
    assert set(found) == set(expected)
    for name, array in expected.items():
        atol = max(1e-5, 1e-6 * float(np.abs(array).max()))  # sums cancel in small elements
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=atol, err_msg=name)


@pytest.mark.parametrize("switch", [0, 1, 5, 8])
def test_the_answers_go_on_over_the_switch(bundle, stand_in, process, switch, caplog):
    """Every frame has its answer, that of both engines, wherever the switch comes."""
    caplog.set_level("INFO")
    shown = frames(12, 2, bundle)

    def go_on():
        process.ended.set()
        until(lambda: stand_in._successor is not None)

    found, runner = answers(bundle, ONNX, shown, stand_in, (switch, go_on))
    assert runner.engine_name == "compiled" and len(found) == 12
    for options in (ONNX, COMPILED):
        expected, alone = answers(bundle, options, shown)
        np.testing.assert_allclose(found, expected, **CLOSE)
        assert_states_close(runner.snapshot(), alone.snapshot())
    said = "the compiled engine answers from here on, in place of ONNX Runtime"
    assert [record.message for record in caplog.records].count(said) == 1


def test_a_pool_goes_on_between_two_steps(bundle, stand_in, process, monkeypatch):
    """Streams that are idle during the switch too, each as if alone."""
    predictor = paddlevideo.load_predictor(bundle.folder, device="cpu", cpu_threads=1)
    other = paddlevideo.load_predictor(
        bundle.folder, device="cpu", cpu_threads=1, engine="onnxruntime"
    )
    rng = np.random.default_rng(0)
    with monkeypatch.context() as patch:
        patch.setattr("paddlevideo.runtime.streams.factory.open_engine", lambda *_: stand_in)
        pool = predictor.open_pool(max_streams=4, threads=2)
        streams = [pool.open() for _ in range(4)]
        session = predictor.open_stream()
    alone = [other.open_stream() for _ in range(5)]
    for step in range(12):
        if step == 5:
            process.ended.set()
            until(lambda: stand_in._successor is not None)
        active = range(4) if step == 0 else rng.permutation(4)[: rng.integers(1, 4)]
        pictures = rng.integers(0, 256, (5, 36, 36, 3), np.uint8)
        for number in active:
            streams[number].push(pictures[number])
        found = dict(pool.step())
        assert len(found) == len(active)
        for number in active:
            expected = alone[number].push(pictures[number])
            assert found[streams[number]].index == expected.index
            assert found[streams[number]].score == pytest.approx(expected.score, abs=1e-5)
        expected = alone[4].push(pictures[4])
        assert session.push(pictures[4]).score == pytest.approx(expected.score, abs=1e-5)
    assert {batch.runner.engine_name for batch in pool._batches} == {"compiled"}
    assert [stream.counts.dropped for stream in streams] == [0] * 4
    pool.close()


def test_arrays_too(bundle, stand_in, process):
    """What is given as arrays is computed by the engine of the moment."""
    shown = frames(1, 1, bundle)[0]
    runner = StepRunner(bundle, ONNX)
    feeds = {bundle.manifest.step.inputs[0].name: shown, **runner.snapshot()}
    before = stand_in.run(feeds)
    process.ended.set()
    until(lambda: stand_in.successor() is not None)
    assert_states_close(stand_in.run(feeds), before)


@pytest.mark.parametrize("error", ["no space left", None])
def test_where_it_fails_the_other_engine_goes_on(bundle, stand_in, process, error):
    process.error, process.is_unsupported = error, error is None
    found, runner = answers(bundle, ONNX, frames(9, 1, bundle), stand_in, (2, process.ended.set))
    until(lambda: error is None or process.failures_said == 1)
    assert runner.engine_name == "onnxruntime" and stand_in.successor() is None
    np.testing.assert_array_equal(found, answers(bundle, ONNX, frames(9, 1, bundle))[0])


@pytest.mark.parametrize("kind", [UnsupportedProgramError, BundleError])
def test_a_program_that_the_compiled_engine_refuses(bundle, process, caplog, kind):
    def refuse():
        raise kind("the operation Tanh")

    engine = StandInEngine(open_engine(bundle.step_files, ONNX), refuse, lambda: process)
    process.ended.set()
    until(lambda: not any(t.name == "stand-in" for t in threading.enumerate()))
    assert engine.successor() is None
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == (kind is BundleError)


def test_one_that_nobody_uses_waits_for_nothing(bundle, process):
    engine = open_engine(bundle.step_files, ONNX)
    before = set(threading.enumerate())
    stand_in = StandInEngine(engine, lambda: engine, lambda: process)
    (waiting,) = set(threading.enumerate()) - before
    del stand_in
    gc.collect()
    waiting.join(20)
    assert not waiting.is_alive()


# The process itself.


def python(code):
    return [sys.executable, "-S", "-c", code]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(kernel_files.HOME_VARIABLE, str(tmp_path))
    return tmp_path


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (python("raise SystemExit('it broke')"), "exit code 1: it broke"),
        (python("import os; os.kill(os.getpid(), 9)"), "exit code -9: it says nothing"),
        (python("pass"), "could not be kept"),
        (python("raise SystemExit(4)"), "was changed while it runs"),
        (["/nowhere/python"], "No such file"),
    ],
)
def test_a_process_that_fails_is_reaped_and_told_once(home, caplog, command, error):
    process = CompileProcess(home / "x.onnx", command)
    assert not process.wait() and error in process.error and not process.is_unsupported
    for _ in range(3):
        process.say_failure()
    assert len(caplog.records) == 1 and error in caplog.text
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    if children.exists():
        assert not [pid for pid in children.read_text().split() if is_zombie(pid)]


def test_a_program_that_cannot_be_compiled_is_no_failure(home):
    process = CompileProcess(home / "x.onnx", python("raise SystemExit(3)"))
    assert not process.wait() and process.is_unsupported and process.error is None


def test_no_one_is_held_up_by_a_process_that_is_unwanted(home):
    process = CompileProcess(home / "x.onnx", python("import time; time.sleep(2)"))
    begun = time.monotonic()
    assert not process.wait(lambda: True)
    assert time.monotonic() - begun < 1


def test_there_is_one_process_for_all(home, monkeypatch):
    codes = {"a.onnx": 3, "b.onnx": 1}
    monkeypatch.setattr(processes, "_STARTED", {})
    monkeypatch.setattr(
        processes, "_command", lambda path: python(f"raise SystemExit({codes[path.name]})")
    )
    first = processes.compile_process(home / "a.onnx")
    assert processes.compile_process(home / "b.onnx") is first and not first.wait()
    second = processes.compile_process(home / "b.onnx")  # the first was for another program
    assert second is not first and not second.wait() and second.error
    assert processes.compile_process(home / "a.onnx") is second


def test_it_outlives_the_program_that_started_it(tmp_path):
    """So that the next start finds the kernels; and Ctrl-C is not for it."""
    ended, code = tmp_path / "ended", (
        "import os, pathlib, sys; from paddlevideo.runtime.engines.compile_process import *\n"
        "child = 'import os, sys, time; time.sleep(0.7); open(sys.argv[1], \"w\")"
        ".write(str(os.getpgid(0)))'\n"
        "CompileProcess(pathlib.Path('x'), [sys.executable, '-S', '-c', child, sys.argv[1]])\n"
        "time.sleep(0.2); print(os.getpgid(0))"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, str(ended)],
        env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert not done.stderr
    until(lambda: ended.exists() and ended.read_text())
    assert ended.read_text() != done.stdout.strip()


def test_the_process_makes_sure_that_it_is_for_the_same_sources(home):
    code = "from paddlevideo.runtime.engines.compile_process import main; main(['other', 'x'])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(home), timeout=60)
    assert done.returncode == processes.OTHER_SOURCES


def test_auto_stands_in_where_there_are_no_kernels(bundle, home, monkeypatch, caplog, process):
    caplog.set_level("INFO")
    monkeypatch.setattr(
        "paddlevideo.runtime.engines.stand_in.compile_process", lambda _program: process
    )
    auto = EngineOptions(device="cpu", cpu_threads=1)
    engine = open_engine(bundle.step_files, auto)
    assert isinstance(engine, StandInEngine) and engine.name == "onnxruntime"
    assert f"while the compiled engine is compiled for this processor, once, in {home}" in (
        caplog.text
    )
    with monkeypatch.context() as patch:
        patch.setattr(processes, "can_start", lambda: False)
        assert not isinstance(open_engine(bundle.step_files, auto), StandInEngine)
        patch.setenv(kernel_files.HOME_VARIABLE, str(bundle.folder / "inference.yml"))
        assert open_engine(bundle.step_files, auto).name == "onnxruntime"
    assert caplog.text.count("cannot be kept") == 1


FIRST_START = """
import logging, sys, time
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
import numpy as np, paddlevideo
stream = paddlevideo.load_predictor(sys.argv[1], device="cpu", cpu_threads=1).open_stream()
picture = np.full((36, 36, 3), 100, np.uint8)
begun, count, scores = time.monotonic(), 0, []
while stream._runner.engine_name != "compiled" or count % 40:
    stream.push(picture)
    stream.reset() if count % 40 == 39 else None
    count += 1
    time.sleep(0.01)
    assert time.monotonic() - begun < 300
print(stream.counts.steps == count)
"""


@pytest.mark.slow
def test_the_first_starts_of_four_processes(bundle, tmp_path):
    """With a real compilation: ``python -m pytest -m slow tests/runtime/test_stand_in.py``."""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FIRST_START, str(bundle.folder)],
            env=environment(tmp_path), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in started:
        out, errors = process.communicate(timeout=400)
        assert process.returncode == 0 and out.endswith("True\n"), errors
        assert out.count("the compiled engine answers from here on") == 1
    assert len(list((tmp_path / "kernels").glob("*.zip"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kernels"]
