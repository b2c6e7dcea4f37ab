"""docs/adding_a_model.md: its module, its config and its commands do what it says."""

import re
import subprocess
import sys

import pytest
import yaml
from end_to_end.conftest import ROOT, write_config

PAGE = ROOT / "docs" / "adding_a_model.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """A user's folder: the module in it, and a config for each way to name the model."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "tiny.py").write_text("\n\n".join(blocks("python")), encoding="utf-8")
    (section,) = map(yaml.safe_load, blocks("yaml"))
    config = tiny.config(epochs=1, model_name="model", **section)
    write_config(folder / "tiny.yaml", config)
    config["MODEL"] = {"preset": "tiny_net", "head": {"num_classes": 3}}
    write_config(folder / "preset.yaml", config)
    return folder


def run(folder, script, *arguments):
    """A command as the page has it; nothing but the working folder says where the module is."""
    command = [sys.executable, str(ROOT / script), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def test_the_commands_in_order(folder):
    (commands,) = blocks("bash")
    for line in commands.splitlines():
        python, script, *arguments = line.split()
        assert python == "python"
        done = run(folder, script, *arguments)
    assert "verified: clip program in onnxruntime" in done.stderr
    assert (folder / "inference" / "model.onnx").is_file()


def test_its_name(folder):
    rows = run(folder, "tools/model_info.py", "-c", "preset.yaml").stdout.splitlines()
    assert len(rows) == 2 and rows[1].split()[0] == "model"
    (folder / "use.py").write_text(
        "import paddlevideo, tiny\n"
        "assert 'tiny_net' in paddlevideo.list_models()\n"
        "assert paddlevideo.create_model('tiny_net', num_classes=4).num_classes == 4\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "use.py"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
