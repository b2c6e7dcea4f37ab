"""The command `paddlevideo`: help without Paddle, errors in one line, results on stdout."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from paddlevideo.cli.main import COMMANDS, main
from paddlevideo.weights.published import PRETRAINED

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def around(tmp_path, monkeypatch):
    """An empty cache; the log is as before afterwards."""
    monkeypatch.setenv("PADDLEVIDEO_HOME", str(tmp_path / "cache"))
    logger = logging.getLogger("paddlevideo")
    before = list(logger.handlers), logger.propagate, logger.level
    yield
    logger.handlers[:], logger.propagate, logger.level = before


def fails(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code, capsys.readouterr().err


LIGHT = """
import sys
from paddlevideo.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"paddle", "numpy", "numba", "cv2", "requests"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["download", "--list"]]
    + [[name, "--help"] for name in COMMANDS]
)  # fmt: skip
def test_help_and_lists_are_quick(arguments):
    """Nothing heavy is imported."""
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_as_a_module_and_into_a_closed_pipe():
    done = subprocess.run(
        f"{sys.executable} -m paddlevideo download --list | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout.split()[:2], done.stderr) == (["name", "model"], "")


def test_the_list(capsys):
    main(["download", "--list"])
    said = capsys.readouterr().out
    assert all(f"{name} " in said for name in PRETRAINED)


def test_wrong_usage(capsys):
    assert fails(capsys)[0] == 2
    code, said = fails(capsys, "downlaod")
    assert code == 2
    assert 'did you mean "download"' in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["download"], "error: name the weights to fetch"),
        (["download", "movinet_a0"], "error: no weights are named 'movinet_a0'"),
        (["download", "--list", "paddlevideo_a0_k400"], "error: --list stands alone"),
        (
            ["download", "paddlevideo_a0_k400", "movinet_a0_base_k400", "--from", "x"],
            "error: --from is one file, of one NAME; 2 are given",
        ),
        (["download", "paddlevideo_a0_k400", "--from", "none"], "error: none: no such file"),
    ],
)
def test_errors(capsys, arguments, message):
    code, said = fails(capsys, *arguments)
    assert code == 1
    assert said.startswith(message)
    assert "Traceback" not in said


def test_a_file_of_another_network(capsys, tmp_path):
    import paddle

    file = tmp_path / "MoViNetA0_k400.pdparams"
    paddle.save({"backbone.blocks.0.expand": paddle.zeros([1])}, str(file))
    code, said = fails(capsys, "download", "paddlevideo_a0_k400", "--from", str(file))
    assert code == 1
    assert "weights paddlevideo_a0_k400: " in said
    assert "fit no MoViNet" in said


def test_engines_are_those_of_the_engines():
    from paddlevideo.cli.prediction_options import ENGINE_NAMES
    from paddlevideo.runtime.engines import base

    assert base.ENGINE_NAMES == ENGINE_NAMES


def test_sources_are_those_of_the_importers():
    from paddlevideo.cli.convert import SOURCE_NAMES
    from paddlevideo.convert.import_weights import SOURCES

    assert set(SOURCE_NAMES) == set(SOURCES)


def test_warm_up_says_where_and_how_large(compiled_kernels, tmp_path, monkeypatch, capsys):
    """Compiled or not; a folder that is none is an error of its own."""
    pytest.importorskip("numba")
    from paddlevideo.runtime.engines.compiled.kernel_files import keep_kernels

    monkeypatch.setenv("PADDLEVIDEO_HOME", str(tmp_path))
    assert keep_kernels({"loop.nbi": b"of another process"})
    main(["warm-up"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("loaded in ") and "/kernels/" in second and second.endswith(" MB")
    with pytest.raises(SystemExit) as ended:
        main(["warm-up", str(tmp_path / "none")])
    assert ended.value.code == 1 and "is not a folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PADDLEVIDEO_HOME", str(tmp_path / "file"))
    with pytest.raises(SystemExit) as ended:
        main(["warm-up"])
    assert ended.value.code == 1 and "cannot be kept" in capsys.readouterr().err
