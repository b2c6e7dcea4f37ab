"""A bundle that was altered is refused, and PaddleVideo's pair of file names is found."""

import logging
import shutil

import pytest
import yaml

from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.paddle_inference import PaddleEngine
from paddlevideo.runtime.locate import locate_bundle, resolve_program
from paddlevideo.runtime.predictor import open_predictor
from paddlevideo.utils.errors import BundleError, DeviceError, PaddleVideoError
from runtime.conftest import LABELS, PIPELINE

FAST = EngineOptions(device="cpu", cpu_threads=1)


SHARE = {"tolerance": 1e-4, "of": "largest"}


def edit(folder, **changes):
    path = folder / "inference.yml"
    manifest = {**yaml.safe_load(path.read_text(encoding="utf-8")), **changes}
    path.write_text(yaml.safe_dump({k: v for k, v in manifest.items() if v != "remove"}))


def test_untouched(bundle_dir, exported):
    assert read_bundle(bundle_dir).manifest == exported.manifest


@pytest.mark.parametrize("name", ["MoViNetA0.json", "MoViNetA0.pdiparams"])
@pytest.mark.parametrize("how", ["one bit", "truncated", "longer", "missing"])
def test_altered_files(bundle_dir, name, how):
    path = bundle_dir / name
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "one bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[:-1] if how == "truncated" else content + b"\0")
    with pytest.raises(BundleError) as caught:
        load_predictor(bundle_dir)
    expected = "is missing" if how == "missing" else "is not the file that was exported"
    assert str(path) in str(caught.value) and expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 5}, "format_version is 5, this program reads up to 4; update"),
        ({"format_version": "remove"}, "format_version is None"),
        ({"format_version": "one"}, "format_version is one"),
        ({"programs": "remove"}, "programs"),
        ({"programs": []}, "names neither a clip program nor a step program"),
        (
            {"programs": [{"kind": "frame"}]},
            "programs.0: .*'frame' .*'clip', 'step'",
        ),
        ({"reference": {"file": "other.npz", **SHARE}}, "other.npz is missing"),
        ({"reference": {"file": "../outside.npz", **SHARE}}, "is not a plain file"),
        ({"reference": {"file": "reference.npz", "tolerance": 2, "of": "spread"}}, "is 2.0, expec"),
        ({"files": {}}, "has no checksum of"),
        ({"files": {"MoViNetA0.json": {}, "MoViNetA0.pdiparams": {}}}, "not the file that was"),
        ({"labels": "abc"}, "labels"),
    ],
)
def test_altered_manifests(bundle_dir, changes, message):
    edit(bundle_dir, **changes)
    with pytest.raises(BundleError, match=message):
        read_bundle(bundle_dir)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {"paddle": ["other.json", "MoViNetA0.pdiparams"]}}, "other.json is missing"),
        ({"files": {"paddle": ["../a.json", "MoViNetA0.pdiparams"]}}, "is not a plain file"),
        ({"files": {"paddle": ["MoViNetA0.json"]}}, "1 files where a program .* paddle has 2"),
        ({"files": {"paddle": []}}, "programs: clip: names no files"),
        ({"files": {}}, "programs: clip: names no files"),
        ({"inputs": 3}, "programs.0.clip.inputs"),
        ({"outputs": "remove"}, "programs.0.clip.outputs"),
        ({"precision": "fp8"}, "programs.0.clip.precision"),
    ],
)
def test_altered_programs(bundle_dir, exported, changes, message):
    (program,) = yaml.safe_load((bundle_dir / "inference.yml").read_text())["programs"]
    program = {k: v for k, v in {**program, **changes}.items() if v != "remove"}
    edit(bundle_dir, programs=[program])
    with pytest.raises(BundleError, match=message):
        load_predictor(bundle_dir, device="cpu")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [1"])
def test_manifests_that_are_none(bundle_dir, text):
    (bundle_dir / "inference.yml").write_text(text)
    with pytest.raises(PaddleVideoError, match=r"inference.yml"):
        read_bundle(bundle_dir)


def test_not_a_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"has no inference.yml.*tools/export_model.py"):
        load_predictor(tmp_path)
    with pytest.raises(BundleError, match=r"none is not a folder.*tools/export_model.py"):
        load_predictor(tmp_path / "none")


def test_a_moved_bundle_still_works(bundle_dir, tmp_path, video, exported):
    bundle_dir.rename(tmp_path / "else where")
    moved = load_predictor(tmp_path / "else where", device="cpu", cpu_threads=1)
    assert moved(video) == load_predictor(exported.folder, device="cpu", cpu_threads=1)(video)


# --- PaddleVideo's pair of file names


def test_pdmodel_means_json(bundle_dir, caplog):
    with caplog.at_level(logging.INFO):
        found = resolve_program(bundle_dir / "MoViNetA0.pdmodel")
    assert found == bundle_dir / "MoViNetA0.json"
    assert "MoViNetA0.pdmodel is not there; Paddle 3 wrote it as MoViNetA0.json" in caplog.text
    caplog.clear()
    (bundle_dir / "MoViNetA0.pdmodel").write_text("")
    assert resolve_program(bundle_dir / "MoViNetA0.pdmodel").suffix == ".pdmodel"
    assert not caplog.text


@pytest.mark.parametrize("name", ["none.json", "none.pdmodel", "MoViNetA0.onnx"])
def test_no_program(bundle_dir, name):
    with pytest.raises(BundleError, match=f"{name} is missing"):
        resolve_program(bundle_dir / name)


def test_a_pair_that_is_a_bundle(bundle_dir):
    bundle = locate_bundle(
        None, bundle_dir / "MoViNetA0.pdmodel", bundle_dir / "MoViNetA0.pdiparams", None
    )
    assert bundle.manifest.labels == LABELS and bundle.manifest.pipeline == PIPELINE


def test_a_pair_of_which_one_is_not_in_the_bundle(bundle_dir):
    other = bundle_dir / "other.pdiparams"
    shutil.copy(bundle_dir / "MoViNetA0.pdiparams", other)
    with pytest.raises(BundleError, match=r"other.pdiparams is not the file that .*inference.yml"):
        locate_bundle(None, bundle_dir / "MoViNetA0.json", other, None)


def test_foreign_files_need_a_pipeline(bundle_dir, tmp_path, video, exported):
    program = shutil.copy(bundle_dir / "MoViNetA0.json", tmp_path / "foreign.json")
    params = tmp_path / "elsewhere" / "w.pdiparams"
    params.parent.mkdir()
    shutil.copy(bundle_dir / "MoViNetA0.pdiparams", params)
    with pytest.raises(BundleError, match=r"has no inference.yml; name the config .*--config"):
        locate_bundle(None, program, params, None)
    bundle = locate_bundle(None, program, params, PIPELINE)
    assert bundle.params == params and bundle.manifest.labels is None
    ours = load_predictor(exported.folder, device="cpu", cpu_threads=1)(video)
    theirs = open_predictor(bundle, FAST)(video)
    assert (theirs.index, theirs.score, theirs.label) == (ours.index, ours.score, None)


def test_foreign_files_with_a_pipeline_that_does_not_fit(bundle_dir, tmp_path, video):
    """The program takes 32x32 bytes: other clips are one message, not a crash."""
    program = shutil.copy(bundle_dir / "MoViNetA0.json", tmp_path / "foreign.json")
    params = shutil.copy(bundle_dir / "MoViNetA0.pdiparams", tmp_path / "foreign.pdiparams")
    normalize = {"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    for transform in (
        [{"CenterCrop": {"target_size": 48}}, "Image2Array"],
        [{"CenterCrop": {"target_size": 32}}, "Image2Array", normalize],
    ):
        bundle = locate_bundle(None, program, params, {**PIPELINE, "transform": transform})
        with pytest.raises(BundleError, match=r"foreign.json.*clip"):
            open_predictor(bundle, FAST)(video)


@pytest.mark.parametrize("arguments", [(None, None, None), (None, "a.json", None)])
def test_nothing_is_named(arguments):
    with pytest.raises(BundleError, match="--model_dir, or --model_file with --params_file"):
        locate_bundle(*arguments, None)


def test_missing_weights(bundle_dir):
    with pytest.raises(BundleError, match=r"none.pdiparams is missing"):
        locate_bundle(None, bundle_dir / "MoViNetA0.json", bundle_dir / "none.pdiparams", None)


def test_another_pipeline_than_the_exported_one(bundle_dir, caplog):
    other = {**PIPELINE, "sample": {"name": "UniformSampler", "num_frames": 8}}
    assert locate_bundle(bundle_dir, None, None, other).manifest.pipeline == PIPELINE
    assert "the bundle's own is used" in caplog.text
    caplog.clear()
    locate_bundle(bundle_dir, None, None, PIPELINE)
    assert not caplog.text


# --- engines


@pytest.mark.parametrize("options", [{"device": "gpu"}, {"use_tensorrt": True}])
def test_what_this_machine_does_not_have(exported, options):
    import paddle

    if paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="=False"):
        load_predictor(exported.folder, **options)


def test_a_program_that_is_none(tmp_path):
    (tmp_path / "a.json").write_text('{"not": "a program"}')
    (tmp_path / "a.pdiparams").write_bytes(b"")
    with pytest.raises(BundleError, match=r"a.json: Paddle Inference refuses it"):
        PaddleEngine(tmp_path / "a.json", tmp_path / "a.pdiparams", ["logits"], FAST)
    with pytest.raises(BundleError, match=r"b.json is missing"):
        PaddleEngine(tmp_path / "b.json", tmp_path / "a.pdiparams", ["logits"], FAST)
