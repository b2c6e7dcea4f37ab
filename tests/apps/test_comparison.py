"""Bundles compared: sizes, times in turns, accuracy, and the videos whose answer changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from export.test_quantization import model, pytestmark, videos, whole, write_noise  # noqa: F401
from runtime.conftest import LABELS

from apps.test_tools import run
from paddlevideo.apps.comparison import LabelledVideo, compare_bundles, labelled_videos
from paddlevideo.export.quantization.graph_layers import find_layers
from paddlevideo.export.quantization.step_graphs import load_step_graph
from paddlevideo.export.quantization.write_quantized import write_quantized
from paddlevideo.runtime import load_predictor
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.utils.errors import BundleError, DataError

OPTIONS = EngineOptions(device="cpu", cpu_threads=1, engine="onnxruntime")


@pytest.fixture(scope="module")
def other(whole, tmp_path_factory):  # noqa: F811
    """The same network with its classes the other way round, as a quantised bundle is written."""
    from onnx import numpy_helper

    graph = load_step_graph(whole)
    last = find_layers(graph)[-1]
    for entry in graph.graph.initializer:
        if entry.name in (last.weight, last.bias):
            array = numpy_helper.to_array(entry)
            assert len(array) == 5
            entry.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array[::-1]), entry.name))
    return write_quantized(whole, graph, tmp_path_factory.mktemp("other") / "b", {})


def test_what_is_found(whole, other, videos, tmp_path):  # noqa: F811
    predictor = load_predictor(whole.folder, device="cpu")
    right = [predictor(path) for path in videos]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    listed = [LabelledVideo(p, r.index) for p, r in zip(videos, right, strict=True)]
    listed.append(LabelledVideo(broken, 0))
    found = compare_bundles([whole, other], listed, OPTIONS, repeats=3)
    first, second = found.bundles
    assert (first.top1, first.right, first.changed, first.step_ratio) == (0.8, 4, (), 1.0)
    assert (first.precision, second.precision) == ("fp32", "int8")
    assert first.step_bytes == whole.step_files.onnx.stat().st_size
    assert first.folder_bytes > 4 * first.step_bytes - 1e6 and first.step_ms > 0
    assert found.unreadable == (str(broken),) and found.num_videos == 5
    flipped = [result for result in right if result.index != 2]
    assert [change.file for change in second.changed] == [result.path for result in flipped]
    for change, result in zip(second.changed, flipped, strict=True):
        assert change.true_label == result.label and change.before.label == result.label
        assert change.after.index == 4 - result.index
        assert change.after.score == pytest.approx(result.score, abs=1e-3)
    assert json.loads(json.dumps(found.as_dict()))["bundles"][1]["top1"] == second.top1


def test_videos_with_their_labels(videos, tmp_path):  # noqa: F811
    for name in ("no", "abseiling"):
        (tmp_path / "val" / name / "deep").mkdir(parents=True)
        write_noise(tmp_path / "val" / name / "deep" / "a.mp4", 0, 1)
    found = labelled_videos(tmp_path / "val", LABELS)
    assert [(v.path.parts[-3], v.label) for v in found] == [("abseiling", 0), ("no", 4)]
    assert [v.label for v in labelled_videos(tmp_path / "val", None)] == [0, 1]
    with pytest.raises(DataError, match=r"abseiling is no class of the bundle \(x"):
        labelled_videos(tmp_path / "val", ["x"])
    listed = tmp_path / "val.list"
    listed.write_text(f"val/no/deep/a.mp4 4\n{videos[0]} 2\n")
    assert labelled_videos(listed, LABELS) == [
        LabelledVideo(tmp_path / "val/no/deep/a.mp4", 4),
        LabelledVideo(videos[0], 2),
    ]


def only(bundle, program):
    return replace(bundle, manifest=replace(bundle.manifest, programs=(program,)))


def test_bundles_of_clips(whole, videos):  # noqa: F811
    """Times and sizes are of whole clips where one has nothing else."""
    clip = only(whole, whole.manifest.clip)
    right = load_predictor(whole.folder, device="cpu")(videos[0]).index
    found = compare_bundles([whole, clip], [LabelledVideo(videos[0], right)], OPTIONS, repeats=1)
    assert found.of_clips
    for item in found.bundles:
        assert (item.top1, item.changed, item.engine) == (1.0, (), "onnxruntime")
        assert item.step_bytes == whole.clip_files.onnx.stat().st_size and item.step_ms > 0


def test_what_cannot_be_compared(whole, tmp_path):  # noqa: F811
    clip = only(whole, whole.manifest.clip)
    with pytest.raises(BundleError, match="holds the program of one frame alone"):
        compare_bundles([clip, only(whole, whole.manifest.step)], [], OPTIONS)
    missing = [LabelledVideo(tmp_path / "a.mp4", 0)]
    with pytest.raises(DataError, match="none of the 1 videos can be read"):
        compare_bundles([whole], missing, OPTIONS, repeats=1)


def test_the_tool(whole, videos, tmp_path):  # noqa: F811
    listed = tmp_path / "val.list"
    listed.write_text("".join(f"{path} 1\n" for path in videos))
    done = run(
        "compare_bundles.py", "--model_dir", whole.folder, whole.folder, "-i", listed,
        "--output", "report.json", "--repeats", 2, "--engine", "onnxruntime", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4 videos, 0 unreadable" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["bundles"]) == 2 and report["bundles"][1]["changed"] == []
