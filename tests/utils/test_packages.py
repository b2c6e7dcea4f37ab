"""Messages about packages that are not installed."""

import importlib.util
import re
from pathlib import Path

import pytest

from paddlevideo.utils import packages
from paddlevideo.utils.errors import DeviceError
from paddlevideo.utils.packages import TRAINING, is_installed, require_packages

ROOT = Path(__file__).resolve().parents[2]
# Where a package is imported under another name than it is installed under.
INSTALLED_AS = {"paddle": "paddlepaddle", "decord": "decord2", "ai_edge_litert": "ai-edge-litert"}


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        (
            TRAINING,
            'needs paddle, safetensors, pooch, requests: pip install "paddlevideo-m.*.train.',
        ),
        (("numba", "onnx"), r"needs numba, onnx: pip install .*-movinet\[compiled\]"),
        (("onnx", "paddle2onnx"), r"needs onnx, paddle2onnx: pip install .*-movinet\[onnx\]"),
        (("paddle", "jinja2"), r"needs paddle, jinja2: pip install .*-movinet\[train,report\]"),
        (("onnxruntime",), r"needs onnxruntime: pip install onnxruntime; or wait"),
    ],
)
def test_one_message(monkeypatch, needed, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DeviceError, match=rf"^this {message}"):
        require_packages("this", *needed, otherwise="wait")


def test_what_is_there():
    require_packages("this", "numpy")
    assert is_installed("numpy") and not is_installed("no_such_package")


def test_extras_are_those_of_the_distribution():
    for extra, held in packages._EXTRAS.items():
        text = (ROOT / f"requirements-{extra}.txt").read_text()
        listed = set(re.findall(r"^[\w-]+", text, re.M))
        assert {INSTALLED_AS.get(package, package) for package in held} == listed
