"""The folder that is written: the network in it, its files, and what is refused."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export.web.conftest import PIPELINE
from paddlevideo.cli.main import main
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.export.formats.web import WebExporter
from paddlevideo.export.onnx_weights import store_as_half
from paddlevideo.export.web import runtime_files, write_site
from paddlevideo.export.web.browser_graph import write_browser_graph
from paddlevideo.export.web.runtime_files import RUNTIME_FILES, require_runtime
from paddlevideo.runtime import Bundle
from paddlevideo.utils.errors import BundleError, DownloadError
from paddlevideo.weights.published.cache import HOME_VARIABLE


def outputs_of(path, seed=0) -> list[np.ndarray]:
    """What a step program answers to random pixels and states."""
    rng = np.random.default_rng(seed)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {}
    for item in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in item.shape]
        if "float" in item.type:
            feeds[item.name] = rng.normal(size=shape).astype(np.float32)
        else:
            dtype = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32}[item.type]
            feeds[item.name] = rng.integers(0, 100, shape).astype(dtype)
    return session.run(None, feeds)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_graph_computes_what_the_bundles_does(bundle, precision, tmp_path):
    (exported,) = bundle.step_files.files["onnx"]
    source = Path(shutil.copy(exported, tmp_path / "step.onnx"))
    if precision == "fp16":
        store_as_half(source)
    write_browser_graph(source, tmp_path / "page.onnx")
    for expected, found in zip(outputs_of(source), outputs_of(tmp_path / "page.onnx"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    graph = onnx.load(str(tmp_path / "page.onnx")).graph
    assert sum(node.op_type == "Gemm" for node in graph.node) > 5
    assert {item.type.tensor_type.shape.dim[0].dim_value for item in graph.input} == {1}


def test_what_lies_in_the_folder(site):
    names = {str(file.relative_to(site)) for file in site.rglob("*") if file.is_file()}
    assert {f"runtime/{name}" for name in RUNTIME_FILES} <= names
    assert "MIT License" in (site / "runtime" / "LICENSE.txt").read_text()
    page = (site / "index.html").read_text()
    assert re.search(r"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style", page)
    for file in [site / "index.html", site / "page.css", *(site / "js").iterdir()]:
        addresses = set(
            re.findall(r"(?:https?:)?//[\w.]+\w", re.sub(r"// .*", "", file.read_text()))
        )
        assert addresses <= {"http://localhost", "http://www.w3.org"}, file.name


def test_the_format(stream_model, tmp_path, runtime_archive):
    """``--format web`` brings its ONNX file along, and replaces an older page."""
    older = tmp_path / "b" / "small_web"
    older.mkdir(parents=True)
    (older / "old.txt").write_text("of an older page")
    options = ExportOptions(formats=("web",))
    made = export_model(stream_model, PIPELINE, tmp_path / "b", "small", None, options)
    assert set(made.manifest.step.files) == set(made.manifest.clip.files) == {"paddle", "onnx"}
    assert (older / "model" / "small_step.onnx").is_file() and not (older / "old.txt").exists()


def test_the_command(bundle, site, tmp_path, capsys):
    main(["web", str(bundle.folder), "-o", str(tmp_path / "made"), "--title", "Mine"])
    assert "python -m http.server" in capsys.readouterr().out
    assert '"title": "Mine"' in (tmp_path / "made" / "model" / "model.json").read_text()


def test_folders_that_are_not_ours(bundle, site, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(BundleError, match="holds other files"):
        write_site(bundle, tmp_path)
    with pytest.raises(BundleError, match="is a file"):
        write_site(bundle, tmp_path / "letter.txt")
    copied = shutil.copytree(site, tmp_path / "page")
    (copied / "old.js").write_text("")
    write_site(bundle, copied)
    assert not (copied / "old.js").exists() and (copied / "index.html").is_file()


def test_bundles_without_what_is_needed(bundle, tmp_path):
    manifest = bundle.manifest
    clips = replace(manifest, programs=(manifest.clip,))
    with pytest.raises(BundleError, match="holds a clip program only"):
        write_site(Bundle(bundle.folder, clips), tmp_path / "page")
    paddles = {"paddle": manifest.step.files["paddle"]}
    without = replace(manifest, programs=(manifest.clip, replace(manifest.step, files=paddles)))
    with pytest.raises(BundleError, match="no ONNX file of its step program"):
        write_site(Bundle(bundle.folder, without), tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_graphs_that_are_refused(bundle, tmp_path):
    (exported,) = bundle.step_files.files["onnx"]
    pairs = onnx.load(str(exported))
    for value in pairs.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(pairs, str(tmp_path / "pairs.onnx"))
    with pytest.raises(BundleError, match="2 streams at a time"):
        write_browser_graph(tmp_path / "pairs.onnx", tmp_path / "page.onnx")
    (tmp_path / "half.onnx").write_bytes(exported.read_bytes()[:-1000])
    with pytest.raises(BundleError, match="cannot be read"):
        write_browser_graph(tmp_path / "half.onnx", tmp_path / "page.onnx")


def test_onnxruntime_web_that_cannot_be_fetched(tmp_path, monkeypatch):
    """One message: what was tried, and where a file that was fetched by hand is to be put."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setattr(runtime_files.shutil, "which", lambda name: None)
    monkeypatch.setattr(runtime_files, "ADDRESS", "https://127.0.0.1:9/web.tgz")
    with pytest.raises(DownloadError) as caught:
        WebExporter().check()
    said = str(caught.value)
    assert "npm is not installed; npm's registry: " in said and "--from FILE" in said
    assert str(tmp_path / "home" / "downloads") in said and "\n" not in said
    with pytest.raises(DownloadError, match="no such file"):
        require_runtime(tmp_path / "missing.tgz")
    (tmp_path / "other.tgz").write_bytes(b"something else")
    with pytest.raises(DownloadError, match="its SHA-256 is"):
        require_runtime(tmp_path / "other.tgz")
    assert not (tmp_path / "home" / "downloads" / runtime_files.ARCHIVE).exists()


def test_an_archive_that_was_fetched_by_hand(runtime_archive, tmp_path, monkeypatch):
    copied = shutil.copy(runtime_archive, tmp_path / "by_hand.tgz")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    kept = require_runtime(copied)
    assert kept.parent == tmp_path / "home" / "downloads" and require_runtime() == kept


def test_npm_that_fails(tmp_path, monkeypatch):
    """Its own reason is in the message, and a damaged file in the cache is no file."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho 'npm error code E404' >&2\nexit 1\n")
    program.chmod(0o755)
    kept = tmp_path / "downloads" / runtime_files.ARCHIVE
    kept.parent.mkdir()
    kept.write_bytes(b"half")
    monkeypatch.setattr(runtime_files.shutil, "which", lambda name: str(program))
    monkeypatch.setattr(runtime_files, "ADDRESS", "https://127.0.0.1:9/web.tgz")
    with pytest.raises(DownloadError, match="npm error code E404"):
        require_runtime()
