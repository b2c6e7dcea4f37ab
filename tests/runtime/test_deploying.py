"""The worked example of docs/deploying.md: it meets the reference of a bundle."""

import re
from pathlib import Path

import pytest

import paddlevideo
from paddlevideo.export import ExportOptions, export_model
from runtime.conftest import LABELS, PIPELINE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploying.md"


def test_the_step_in_twenty_lines(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("paddle2onnx")
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(import numpy.*?)^```", text, re.M | re.S)
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=len(LABELS)).eval()
    options = ExportOptions(formats=("onnx",))
    export_model(model, PIPELINE, tmp_path / "bundle", "small", LABELS, options)
    monkeypatch.chdir(tmp_path)
    code = code.replace('open("bundle/inference.yml")', 'Path("bundle/inference.yml").read_bytes()')
    values: dict[str, object] = {"Path": Path}
    exec(compile(code, str(PAGE), "exec"), values)
    assert values["number"] >= 2
    wrong = code.replace("states[names[-1]] = array", "pass")
    with pytest.raises(AssertionError):
        exec(compile(wrong, str(PAGE), "exec"), {"Path": Path})
