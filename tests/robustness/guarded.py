"""Run many hostile inputs, each under a limit of time, and tell what became of each.

The cases run one after the other in a forked process, so that a signal, a hang or a memory bomb is
an outcome of its case and does not end the tests.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from paddlevideo.utils.errors import PaddleVideoError


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind: ``ok``, ``refused`` (one of our errors), ``foreign`` (any other exception),
            ``signal``, ``exit``, ``slow`` (over its time) or ``memory`` (over its memory).
        text: what the check returned, the message, the traceback, or the number.
    """

    kind: str
    text: str


def outcomes(
    check: Callable[[Any], Any],
    cases: Sequence[Any],
    seconds: float = 20.0,
    memory_mb: float = 1500.0,
) -> list[Outcome]:
    """Run ``check`` on every case in a forked process.

    Args:
        seconds: limit of one case; over it the process is killed and the next case begins in a
            new one.
        memory_mb: limit of the growth of the resident memory over a case.
    """
    results: list[Outcome] = []
    while len(results) < len(cases):
        results += _run_some(check, cases[len(results) :], seconds, memory_mb)
    return results


def _run_some(
    check: Callable[[Any], Any], cases: Sequence[Any], seconds: float, memory_mb: float
) -> list[Outcome]:
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_work, args=(check, cases, theirs, memory_mb), daemon=True)
    process.start()
    theirs.close()
    results: list[Outcome] = []
    try:
        while len(results) < len(cases):
            if not ours.poll(seconds):
                return [*results, Outcome("slow", f"over {seconds:g} s")]
            try:
                outcome = Outcome(*ours.recv())
            except EOFError:
                process.join(10)
                code = process.exitcode or 0
                kind = "signal" if code < 0 else "exit"
                return [*results, Outcome(kind, str(abs(code)))]
            results.append(outcome)
            if outcome.kind == "memory":
                return results  # the next case begins in a process that holds nothing
        return results
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(
    check: Callable[[Any], Any], cases: Sequence[Any], pipe: Connection, memory_mb: float
) -> None:
    faulthandler.disable()  # a signal is an outcome here
    # What a library prints about a broken file is not this suite's output.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for case in cases:
        before = _begin_peak_mb()
        try:
            kind, text = "ok", repr(check(case))
        except PaddleVideoError as error:
            kind, text = "refused", f"{type(error).__name__}: {error}"
        except BaseException:  # noqa: BLE001 - a foreign exception is what this looks for
            kind, text = "foreign", traceback.format_exc()
        if _peak_mb() - before > memory_mb:
            kind, text = "memory", f"over {memory_mb:g} MB; {kind}: {text[:300]}"
        pipe.send((kind, text[-3000:]))
        if kind == "memory":
            return


def _begin_peak_mb() -> float:
    """Set the peak of the resident memory back to what is resident now, and return that."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status_mb("VmRSS")


def _peak_mb() -> float:
    return _status_mb("VmHWM")


def _status_mb(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {key} in /proc/self/status")


def failures(results: Sequence[Outcome], names: Sequence[str]) -> list[str]:
    """Those that are neither ``ok`` nor ``refused``, for the message of an assertion."""
    return [
        f"{name}: {result.kind}: {result.text}"
        for name, result in zip(names, results, strict=True)
        if result.kind not in ("ok", "refused")
    ]
