"""The wheel: installed into an empty environment, run from another folder."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from runtime.conftest import LABELS, PIPELINE
from video.conftest import write_video

import paddlevideo
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.utils.packages import DISTRIBUTION, is_installed

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


def run(*command: object, cwd: Path, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The scripts' folder of an environment with the wheel and, by a path, today's packages."""
    folder = tmp_path_factory.mktemp("wheel")
    version = tuple(map(int, importlib.metadata.version("setuptools").split(".")[:2]))
    # Older ones need the package wheel too, which an isolated build fetches.
    here = ["--no-build-isolation"] if version >= (70, 1) else []
    source = folder / "source"  # a build leaves files beside what it builds
    source.mkdir()
    for name in ("paddlevideo", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*ROOT.glob("requirements*.txt"), *map(ROOT.joinpath, OTHERS)):
        shutil.copy(file, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "-q", "--no-deps", *here, "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith(f"paddlevideo_movinet-{paddlevideo.__version__}-")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    run(*pip, "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    (Path(site.strip()) / "present.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def test_what_is_in_it(installed, tmp_path):
    code = (
        "import importlib.metadata, paddlevideo; from pathlib import Path\n"
        "from paddlevideo.utils.shipped_files import find_config\n"
        "folder = Path(paddlevideo.__file__).parent\n"
        "assert (folder / 'py.typed').is_file()\n"
        "named = find_config('movinet_a0_folder')\n"
        "assert named == find_config('recognition/movinet/movinet_a0_folder.yaml')\n"
        "assert folder in named.parents and (folder / 'configs/_base_/motion.yaml').is_file()\n"
        "from paddlevideo.apps.recipes import open_recipe\n"
        "assert open_recipe('movinet_a0_folder').model_name\n"
        f"print(importlib.metadata.version({DISTRIBUTION!r}), paddlevideo.__version__)\n"
    )
    said = run(installed / "python", "-W", "ignore", "-c", code, cwd=tmp_path).split()
    assert said == [paddlevideo.__version__] * 2


def test_commands_from_another_folder(installed, tmp_path):
    command = installed / "paddlevideo"
    assert "movinet_a0_base" in run(command, "model-info", "movinet_a0_base", cwd=tmp_path)
    message = run(command, "train", "-c", "movinet_a0_fodler", cwd=tmp_path, code=1)
    assert 'did you mean "movinet_a0_folder"?' in message and "Traceback" not in message
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=len(LABELS)).eval()
    options = ExportOptions(formats=("onnx",) if is_installed("paddle2onnx") else ())
    export_model(model, PIPELINE, tmp_path / "bundle", "small", LABELS, options)
    video = write_video(tmp_path / "video.mp4", 8)
    assert "top-1 label: " in run(command, "predict", video, "--bundle", "bundle", cwd=tmp_path)
