"""The bundle: what is written, that it computes what was trained, and what a failure leaves."""

import json

import numpy as np
import paddle
import pytest
import yaml
from modeling.conftest import STREAM, randomise, relative_error
from runtime.conftest import LABELS, NUM_CLASSES, PIPELINE, clips

from paddlevideo.export import export_clip_model, write_bundle
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import bundle as bundle_files
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.paddle_inference import PaddleEngine
from paddlevideo.utils.errors import BundleError, ConfigError
from paddlevideo.utils.files import sha256_of

FILES_OF_ALL = {"reference.npz", "inference.yml"}
FILES = {"MoViNetA0.json", "MoViNetA0.pdiparams", *FILES_OF_ALL}


def eager(model, clip):
    with paddle.no_grad():
        return model(paddle.to_tensor(clip)).numpy()


def small_model(num_classes=3, seed=1, **section):
    section = {**model_section("movinet_t0_base", num_classes=num_classes), **section}
    return randomise(build_recognizer(section), seed)


# --- what is written


def test_files_and_manifest(exported):
    folder = exported.folder
    assert {path.name for path in folder.iterdir()} == FILES
    manifest = yaml.safe_load((folder / "inference.yml").read_text(encoding="utf-8"))
    assert manifest["format_version"] == 4 and manifest["model_name"] == "MoViNetA0"
    (program,) = manifest["programs"]
    assert (program["kind"], program["precision"]) == ("clip", "fp32")
    assert program["files"] == {"paddle": ["MoViNetA0.json", "MoViNetA0.pdiparams"]}
    clip = {"name": "clip", "shape": [-1, 4, 3, 32, 32], "dtype": "uint8", "axes": "BTCHW"}
    assert program["inputs"] == [clip]
    logits = {"name": "logits", "shape": [-1, NUM_CLASSES], "dtype": "float32", "axes": "BN"}
    assert program["outputs"] == [logits]
    assert manifest["pipeline"] == PIPELINE and manifest["labels"] == LABELS
    assert manifest["versions"]["paddle"] == paddle.__version__
    assert set(manifest["files"]) == FILES - {"inference.yml"}
    for name, facts in manifest["files"].items():
        assert facts["size"] == (folder / name).stat().st_size
        assert facts["sha256"] == sha256_of(folder / name)


def test_every_weight_is_in_it_once(exported, model):
    """Of batch norm only what is added: the rest is part of kernels."""
    num_bytes = sum(4 * parameter.size for parameter in model.parameters())
    norms = sum(4 * p.size for name, p in model.named_parameters() if name.endswith("bn.weight"))
    assert abs(exported.params.stat().st_size - (num_bytes - norms)) < 0.01 * num_bytes


def test_the_program_asks_for_no_shapes(exported):
    """The only size that is not fixed is the batch, and that is -1 in every reshape."""
    loaded = paddle.jit.load(str(exported.program.with_suffix("")))
    program = loaded.program()
    names = [op.name() for op in program.global_block().ops]
    assert not {"pd_op.shape", "pd_op.shape64", "pd_op.stack"} & set(names)
    assert names.count("pd_op.cast") == 1  # the pixels


# --- it computes what was trained


@pytest.fixture(scope="module", params=[True, False], ids=["onednn", "plain"])
def engine(request, exported):
    options = EngineOptions(device="cpu", cpu_threads=1, onednn=request.param)
    return PaddleEngine(exported.program, exported.params, ["logits"], options)


@pytest.mark.parametrize("onednn", [True, False])
def test_a_causal_model_exported_for_clips(tmp_path, capfd, onednn):
    """oneDNN's passes must not write over a value that is used again."""
    model = small_model(backbone={"name": "MoViNet", "model_type": "T0", **STREAM}).eval()
    bundle = export_clip_model(model, PIPELINE, tmp_path / "b", "m")
    options = EngineOptions(device="cpu", cpu_threads=1, onednn=onednn)
    engine = PaddleEngine(bundle.program, bundle.params, ["logits"], options)
    for batch in (3, 1):
        logits = engine.run({"clip": clips(batch)})["logits"]
        assert relative_error(logits, eager(model, clips(batch))) < 1e-5
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("batch", [1, 3, 2])
def test_exported_is_eager(engine, model, batch):
    clip = clips(batch, seed=batch)
    logits = engine.run({"clip": clip})["logits"]
    assert logits.dtype == np.float32 and logits.shape == (batch, NUM_CLASSES)
    assert relative_error(logits, eager(model, clip)) < 1e-5


def test_the_engine_writes_nothing(engine, capfd):
    engine.run({"clip": clips(2)})
    out, _ = capfd.readouterr()
    assert out == ""


def test_export_leaves_the_model_as_it_was(exported, model):
    """It still runs eagerly, at other sizes too, and can be trained on."""
    assert exported.folder.is_dir()
    other = np.random.default_rng(0).integers(0, 256, (1, 3, 3, 40, 48), np.uint8)
    assert eager(model, other).shape == (1, NUM_CLASSES)
    loss = model.loss({"clip": paddle.to_tensor(other), "label": paddle.to_tensor([1])})["loss"]
    loss.backward()
    assert np.abs(model.backbone.stem.conv.weight.grad.numpy()).max() > 0
    model.clear_gradients()


def test_a_model_in_training_mode_is_exported_for_inference(tmp_path):
    model = small_model()
    model.train()
    bundle = export_clip_model(model, PIPELINE, tmp_path / "b", "m")
    assert model.training
    options = EngineOptions(device="cpu", cpu_threads=1)
    logits = PaddleEngine(bundle.program, bundle.params, ["logits"], options).run(
        {"clip": clips(2)}
    )["logits"]
    model.eval()
    assert relative_error(logits, eager(model, clips(2))) < 1e-5
    assert bundle.manifest.labels is None


def test_mean_and_std_are_part_of_the_program(tmp_path):
    scaling = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    model = small_model(scaling=scaling).eval()
    bundle = export_clip_model(model, PIPELINE, tmp_path / "b", "m")
    options = EngineOptions(device="cpu", cpu_threads=1)
    logits = PaddleEngine(bundle.program, bundle.params, ["logits"], options).run(
        {"clip": clips(3)}
    )["logits"]
    assert relative_error(logits, eager(model, clips(3))) < 1e-5


def test_a_pipeline_that_scales(tmp_path, video):
    normalize = {"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    pipeline = {**PIPELINE, "transform": [*PIPELINE["transform"], normalize]}
    model = small_model(scaling={"scale": 1.0}).eval()
    bundle = export_clip_model(model, pipeline, tmp_path / "b", "m")
    assert bundle.manifest.inputs[0].dtype == "float32"
    predictor = load_predictor(tmp_path / "b", device="cpu", cpu_threads=1)
    clip = predictor.pipeline.load(str(video))[None]
    assert clip.dtype == np.float32
    logits = eager(model, clip)[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    assert predictor(video).score == pytest.approx(expected.max(), rel=1e-4)


# --- what a pipeline must be


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ([{"Scale": {"short_size": 36}}, "Image2Array"], "no fixed size.*CenterCrop"),
        ([{"CenterCrop": {"target_size": 32}}], "gives THWC clips, the model takes TCHW"),
        (
            [
                {"CenterCrop": {"target_size": 32}},
                "Image2Array",
                {"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}},
            ],
            "gives float32, the model takes uint8",
        ),
    ],
)
def test_pipelines_that_do_not_fit(model, tmp_path, transform, message):
    with pytest.raises(ConfigError, match=message):
        export_clip_model(model, {**PIPELINE, "transform": transform}, tmp_path / "b", "m")
    assert not (tmp_path / "b").exists()


def test_labels_that_do_not_fit(model, tmp_path):
    with pytest.raises(ConfigError, match=r"2 labels.* 5 classes"):
        export_clip_model(model, PIPELINE, tmp_path / "b", "m", ["a", "b"])
    assert not (tmp_path / "b").exists()


def test_a_folder_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"cannot write to .*file"):
        export_clip_model(model, PIPELINE, tmp_path / "file", "m")


# --- exporting again, and failures


def test_a_second_export_replaces_the_first(bundle_dir):
    other = small_model().eval()
    bundle = export_clip_model(other, PIPELINE, bundle_dir, "MoViNetA0", ["x", "y", "z"])
    assert {path.name for path in bundle_dir.iterdir()} == FILES
    assert read_bundle(bundle_dir).manifest.labels == ["x", "y", "z"]
    options = EngineOptions(device="cpu", cpu_threads=1)
    logits = PaddleEngine(bundle.program, bundle.params, ["logits"], options).run(
        {"clip": clips(2)}
    )["logits"]
    assert relative_error(logits, eager(other, clips(2))) < 1e-5


def test_an_export_under_another_name_leaves_nothing_of_the_first(bundle_dir, model):
    (bundle_dir / "notes.txt").write_text("mine")
    export_clip_model(model, PIPELINE, bundle_dir, "other")
    names = {path.name for path in bundle_dir.iterdir()}
    assert names == {"other.json", "other.pdiparams", *FILES_OF_ALL, "notes.txt"}


class _PowerCutError(Exception):
    pass


def _cut(*_, **__):
    raise _PowerCutError


def fake_save(_program, path):
    """What ``paddle.jit.save`` leaves, at no cost."""
    for extension in (".json", ".pdiparams"):
        with open(path + extension, "w") as file:  # noqa: PTH123
            json.dump({"new": True}, file)


def test_a_failure_while_saving_leaves_the_old_bundle(bundle_dir, model, monkeypatch):
    monkeypatch.setattr(write_bundle.paddle.jit, "save", _cut)
    with pytest.raises(_PowerCutError):
        export_clip_model(model, PIPELINE, bundle_dir, "MoViNetA0")
    assert read_bundle(bundle_dir).manifest.labels == LABELS
    assert {path.name for path in bundle_dir.iterdir()} == FILES


def test_a_failure_among_the_moves_leaves_no_bundle(bundle_dir, model, monkeypatch):
    """New program, old weights: that must not pass for a bundle."""
    monkeypatch.setattr(write_bundle.paddle.jit, "save", fake_save)
    replace, calls = write_bundle.Path.replace, []

    def second_fails(self, target):
        calls.append(self)
        return replace(self, target) if len(calls) < 2 else _cut()

    monkeypatch.setattr(write_bundle.Path, "replace", second_fails)
    with pytest.raises(_PowerCutError):
        export_clip_model(model, PIPELINE, bundle_dir, "MoViNetA0")
    monkeypatch.undo()
    assert "new" in (bundle_dir / "MoViNetA0.json").read_text()
    with pytest.raises(BundleError, match=r"has no inference.yml"):
        read_bundle(bundle_dir)
    assert not [path.name for path in bundle_dir.iterdir() if path.name.startswith(".")]


def test_a_failure_before_the_manifest_leaves_no_bundle(bundle_dir, model, monkeypatch):
    monkeypatch.setattr(write_bundle.paddle.jit, "save", fake_save)
    monkeypatch.setattr(bundle_files, "write_manifest", _cut)
    with pytest.raises(_PowerCutError):
        export_clip_model(model, PIPELINE, bundle_dir, "MoViNetA0")
    with pytest.raises(BundleError, match=r"has no inference.yml"):
        load_predictor(bundle_dir)


# --- several views of one video


def views(*sizes, **more):
    nodes = {
        f"v{size}": {
            "sample": {"name": "UniformSampler", "num_frames": 4},
            "transform": [{"CenterCrop": {"target_size": size}}, "Image2Array"],
        }
        for size in sizes
    }
    return {"decode": {"name": "VideoDecoder"}, "views": {**nodes, **more}}


@pytest.fixture(scope="module")
def ensemble():
    section = model_section("movinet_t0_base", num_classes=3)
    members = {"v32": section, "v24": section}
    return randomise(build_recognizer({"framework": "EnsembleRecognizer", "members": members}))


def test_a_program_of_several_inputs(ensemble, tmp_path, video):
    """Inputs are found by name, in whatever order the pipeline lists its views."""
    bundle = export_clip_model(ensemble.eval(), views(24, 32), tmp_path / "b", "m", ["a", "b", "c"])
    inputs = [(spec.name, spec.shape) for spec in bundle.manifest.inputs]
    assert inputs == [("clip_v32", (-1, 4, 3, 32, 32)), ("clip_v24", (-1, 4, 3, 24, 24))]
    predictor = load_predictor(bundle.folder, device="cpu", cpu_threads=1)
    clips = predictor.pipeline.load_clips(str(video))
    with paddle.no_grad():
        batch = {name: paddle.to_tensor(clip[None]) for name, clip in clips.items()}
        expected = ensemble.predict(batch)[0].numpy()
    top = predictor(video, top_k=3).top
    found = [next(item.score for item in top if item.index == i) for i in range(3)]
    assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (PIPELINE, "INFERENCE: the pipeline gives clip, the model takes clip_v32, clip_v24"),
        (views(32), "the pipeline gives clip_v32, the model takes clip_v32, clip_v24"),
        (
            views(32, v24={"sample": {"name": "UniformSampler", "num_frames": 4}}),
            r"INFERENCE \(clip_v24\): the pipeline's clips have no fixed size",
        ),
    ],
)
def test_views_that_are_not_the_models(ensemble, tmp_path, pipeline, message):
    with pytest.raises(ConfigError, match=message):
        export_clip_model(ensemble, pipeline, tmp_path / "b", "m")
    assert not (tmp_path / "b").exists()


def test_a_bundle_of_other_views_is_refused(ensemble, tmp_path):
    bundle = export_clip_model(ensemble, views(24, 32), tmp_path / "b", "m")
    manifest = yaml.safe_load((bundle.folder / "inference.yml").read_text(encoding="utf-8"))
    manifest["pipeline"]["views"]["other"] = manifest["pipeline"]["views"].pop("v24")
    (bundle.folder / "inference.yml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    with pytest.raises(
        BundleError, match=r"m\.json takes clip_.*but its pipeline gives .*clip_oth"
    ):
        load_predictor(bundle.folder, device="cpu", cpu_threads=1)
