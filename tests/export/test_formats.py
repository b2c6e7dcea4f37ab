"""The registry of formats: unknown ones, and the one that docs/adding_a_format.md adds."""

import re
from pathlib import Path

import pytest
from runtime.conftest import PIPELINE

from paddlevideo.export import EXPORTERS, Exporter, ExportOptions, export_model, usable_formats
from paddlevideo.export.formats import onnx as onnx_format
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.utils.errors import ConfigError, DeviceError
from paddlevideo.weights.safetensors_file import read_safetensors

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("name", list(EXPORTERS))
def test_each_keeps_the_interface(name):
    assert issubclass(EXPORTERS.get(name), Exporter) and EXPORTERS.get(name).__doc__


def test_an_unknown_format(model, tmp_path):
    options = ExportOptions(formats=("onxx",))
    with pytest.raises(ConfigError, match='--format: unknown format "onxx"; did you mean "onnx"'):
        export_model(model, PIPELINE, tmp_path / "b", "m", None, options)
    assert not (tmp_path / "b").exists()


def test_formats_whose_packages_are_missing(monkeypatch, caplog):
    monkeypatch.setattr(onnx_format, "ONNX_PACKAGES", ("no_such_package",))
    assert usable_formats("paddle", "onnx") == ("paddle",)
    assert "no ONNX file is written: --format onnx needs no_such_package" in caplog.text
    with pytest.raises(DeviceError, match="no_such_package"):
        EXPORTERS.get("onnx")().check()


def test_the_example_of_the_docs(model, tmp_path, video, monkeypatch):
    """One file; the bundle lists what it wrote, signs it, and runs as any other."""
    monkeypatch.setattr(EXPORTERS, "_components", dict(EXPORTERS._components))
    text = (ROOT / "docs" / "adding_a_format.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(compile(code, "example", "exec"), {"__name__": "example"})
    options = ExportOptions(formats=("safetensors",), verify=True)
    export_model(model, PIPELINE, tmp_path / "b", "m", None, options)
    bundle = read_bundle(tmp_path / "b")
    (program,) = bundle.manifest.programs
    assert program.files["safetensors"] == ("m.safetensors",)
    assert "m.safetensors" in bundle.manifest.files
    weights = read_safetensors(tmp_path / "b" / "m.safetensors")
    assert sum(array.size for array in weights.values()) > 1000
    assert load_predictor(tmp_path / "b", device="cpu", cpu_threads=1)(video).index >= 0
