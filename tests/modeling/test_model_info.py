"""tools/model_info.py, as a user runs it."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from paddlevideo.modeling import list_models
from paddlevideo.modeling.backbones.movinet import MoViNet

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, cwd=ROOT):
    command = [sys.executable, str(ROOT / "tools" / "model_info.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_table_of_all(tmp_path):
    """One aligned line a model; a file holds the same text."""
    done = run("--output", tmp_path / "out" / "facts.txt")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {tmp_path}/out/facts.txt\n"
    head, *lines = (tmp_path / "out" / "facts.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    assert head.split()[:3] == ["model", "parameters", "trainable"]
    assert len({len(line) for line in (head, *lines)}) == 1
    stream = next(line for line in lines if "a0_stream" in line)
    assert "3,765,983" in stream and "50.7 M" in stream and "172x172" in stream


def test_json_with_options():
    arguments = ("movinet_t0_base", "--num_classes", 5, "--frames", 4, "--size", "48x64")
    done = run(*arguments, "--option", "causal=true", "se_type=none", "--format", "json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)["movinet_t0_base"]
    assert facts["num_states"] == facts["num_stream_buffers"] + 3  # the head's mean has three
    clip = facts["inputs"]["clip"]
    assert (clip["num_frames"], clip["height"], clip["width"]) == (4, 48, 64)
    assert 0 < facts["multiply_adds_per_frame"] < facts["multiply_adds_per_clip"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["movinet_a0"], 1, 'error: no model is called "movinet_a0"; did you mean "movinet_a0_'),
        (["movinet_t0_base", "--option", "se_typ=3d"], 1, 'argument "se_typ"; did you mean "se_t'),
        (["movinet_t0_base", "--frames", "0"], 1, "error: a clip has at least 1 frame"),
        (["movinet_t0_base", "--size", "0x3"], 2, "expected 224 or 180x320"),
        (["movinet_t0_base", "--output", "/dev/null/x"], 1, "error: --output /dev/null/x: "),
    ],
)
def test_mistakes(arguments, code, message, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_document_holds_what_its_command_prints():
    document = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    command = "python tools/model_info.py all --format markdown"
    done = run(*command.split()[2:])
    assert done.returncode == 0, done.stderr
    assert f"```bash\n{command}\n```\n\n{done.stdout}\n" in document, "run the command again"


def test_the_document_knows_every_option():
    document = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    options = set(inspect.signature(MoViNet).parameters)
    named = {name for line in document.splitlines() if line.startswith("| `") for name in options
             if f"`{name}`" in line.split("|")[1]}  # fmt: skip
    assert named == options
