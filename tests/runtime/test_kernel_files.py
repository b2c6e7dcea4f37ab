"""Where compiled kernels are kept: whole or not at all, safe folders, several processes at once."""

import os
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from paddlevideo.runtime.engines.compiled import kernel_files, kernel_loader
from runtime import tiny_loop

FILES = {"loop.nbi": b"index" * 50, "loop.1.nbc": bytes(range(256)) * 20}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache in the user's own folders."""
    monkeypatch.delenv(kernel_files.HOME_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_files.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


@pytest.fixture
def tiny(home, monkeypatch):
    """The tiny loop, and a function that makes it as another process would."""
    monkeypatch.setattr(kernel_loader, "program_loop", tiny_loop.tiny)
    return kernel_loader._loop_of_process.__wrapped__


def answer(loop):
    given: np.ndarray = np.zeros(1, np.int64)
    table = np.zeros(0, kernel_loader.OPERATION)
    later = np.zeros((0, 4), np.int64)
    loop(table, later, given, given, given, 6, *kernel_loader.ALONE)
    return int(given[0])


def test_what_is_kept_is_read(home):
    assert kernel_files.read_kernels() == {} and kernel_files.find_kernels() is None
    path = kernel_files.keep_kernels(FILES)
    assert path == kernel_files.find_kernels()
    assert path.parent == home / "cache" / "paddlevideo" / "kernels"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert kernel_files.read_kernels() == FILES
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def other_names(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.nbi", b"x")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive at all"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"loop", b"pool", 1)),
        lambda path: path.write_bytes(path.read_bytes()[:140] + b"\xff" + path.read_bytes()[141:]),
        lambda path: zipfile.ZipFile(path, "w").close(),
        other_names,
    ],
)
def test_damaged_files_are_taken_away_and_it_is_said(home, caplog, damage):
    path = kernel_files.keep_kernels(FILES)
    damage(path)
    assert kernel_files.read_kernels() == {}
    assert not path.exists() and f"{path} is damaged" in caplog.text
    assert len(caplog.records) == 1


def test_every_byte_counts(home):
    """A bit that flips anywhere is never read as kernels."""
    path = kernel_files.keep_kernels(FILES)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert kernel_files.read_kernels() in ({}, FILES)  # FILES: a date, an attribute
        path.unlink(missing_ok=True)


def test_a_folder_that_cannot_be_written_leads_to_the_next(home, caplog):
    (home / "cache").write_text("a file where a folder should be")
    path = kernel_files.keep_kernels(FILES)
    assert path.parent == home / f"paddlevideo-kernels-{os.getuid()}"
    assert kernel_files.read_kernels() == FILES and not caplog.records


def test_no_folder_at_all_is_said(home, caplog, tiny):
    (home / "cache").write_text("")
    (home / f"paddlevideo-kernels-{os.getuid()}").write_text("")
    assert kernel_files.writable_folder() is None
    assert answer(tiny()) == 42
    assert "cannot be kept" in caplog.text and "PADDLEVIDEO_HOME=DIR" in caplog.text


def test_a_damaged_file_that_cannot_be_removed_does_not_stand_in_the_way(home, monkeypatch):
    path = kernel_files.keep_kernels(FILES)
    path.write_bytes(b"damaged")
    second = home / f"paddlevideo-kernels-{os.getuid()}"
    second.mkdir(mode=0o700)
    (second / path.name).write_bytes(b"")
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with zipfile.ZipFile(second / path.name, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert kernel_files.read_kernels() == FILES


def test_a_folder_that_others_may_write_to_is_not_trusted(home):
    path = kernel_files.keep_kernels(FILES)
    path.parent.chmod(0o777)
    assert kernel_files.read_kernels() == {} and kernel_files.writable_folder() != path.parent


def test_a_named_folder_is_the_only_one(home, monkeypatch):
    monkeypatch.setenv(kernel_files.HOME_VARIABLE, str(home / "mine"))
    assert kernel_files.keep_kernels(FILES).parent == home / "mine" / "kernels"


def test_files_that_nobody_reads_go(home):
    old = kernel_files.writable_folder() / "znver1-0.zip"
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    path = kernel_files.keep_kernels(FILES)
    assert not old.exists() and path.exists()


def test_the_name_says_what_code_depends_on(monkeypatch):
    import llvmlite.binding as llvm

    key = kernel_files.kernel_key.__wrapped__
    before = key()
    assert key() == before and before.startswith(llvm.get_host_cpu_name())
    changes = [
        (llvm, "get_host_cpu_name", lambda: "other"),
        (kernel_files, "source_digest", lambda: "other"),
        (kernel_files.platform, "python_version", lambda: "3.99.0"),
        (kernel_files.importlib.metadata, "version", lambda _: "9"),
        (kernel_files.os, "environ", {**os.environ, "NUMBA_OPT": "1"}),
    ]
    for owner, name, value in changes:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert key() != before, name


def test_the_loop_is_compiled_once_and_then_loaded(tiny, caplog):
    caplog.set_level("INFO")
    first, second = tiny(), tiny()
    assert answer(first) == answer(second) == 42
    assert first.stats.cache_misses and second.stats.cache_hits and not second.stats.cache_misses
    assert caplog.text.count("is being compiled") == 1 and "paddlevideo warm-up" in caplog.text


def test_files_that_numba_cannot_read_are_compiled_anew(tiny, caplog):
    tiny()
    files = kernel_files.read_kernels()
    kernel_files.keep_kernels({name: b"\x80\x04garbage." for name in files})
    assert answer(tiny()) == 42 and "is damaged" in caplog.text
    assert kernel_files.read_kernels().keys() == files.keys()
    assert tiny().stats.cache_hits


def test_a_disk_that_fills_up_is_no_error(tiny, monkeypatch, caplog):
    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_files, "atomic_write", full)
    assert answer(tiny()) == 42 and "No space left" in caplog.text


def environment(home):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return {**os.environ, "PYTHONPATH": path, kernel_files.HOME_VARIABLE: str(home)}


def test_four_processes_at_once_compile_once(tmp_path):
    """On an empty cache; all answer right, and the three that waited load."""
    command = [sys.executable, "-W", "ignore", str(Path(tiny_loop.__file__))]
    started = [
        subprocess.Popen(command, env=environment(tmp_path), text=True, stdout=-1, stderr=-1)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120) for process in started]
    assert [out for out, _ in said] == ["42\n"] * 4, said
    assert sum("is being compiled" in errors for _, errors in said) == 1, said
    assert {path.suffix for path in (tmp_path / "kernels").iterdir()} == {".zip", ".lock"}


def test_a_process_that_is_killed_lets_the_next_one_compile(tmp_path, monkeypatch):
    monkeypatch.setenv(kernel_files.HOME_VARIABLE, str(tmp_path))
    folder = kernel_files.writable_folder()
    code = (
        "import sys, time; from paddlevideo.runtime.engines.compiled import kernel_files as k\n"
        "with k.compiling_alone(k.writable_folder()): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    begun = time.monotonic()
    with kernel_files.compiling_alone(folder):
        assert time.monotonic() - begun < 5
