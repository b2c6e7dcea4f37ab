"""Bundles of ours as weights: the same network comes back, and what is refused."""

import json
import shutil

import numpy as np
import paddle
import pytest
import yaml
from modeling.conftest import TOLERANCE, randomise, relative_error
from runtime.conftest import LABELS, PIPELINE

import paddlevideo
from paddlevideo.apps.recipes import load_weights
from paddlevideo.convert.import_bundle import import_bundle
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.layers.restore_batch_norm import is_folded, restore_batch_norm
from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.open_engine import open_engine
from paddlevideo.utils.errors import BundleError, WeightsError
from paddlevideo.utils.files import sha256_of

NUM_CLASSES = len(LABELS)
T0, T0_BASE = "movinet_t0_stream", "movinet_t0_base"
NO_GATES = {"se_type": "none", "activation": "relu6", "classifier_activation": "relu6"}


def built(name, scaling=None, **options):
    section = model_section(name, num_classes=NUM_CLASSES, **options)
    model = build_recognizer({**section, **({"scaling": scaling} if scaling else {})})
    return randomise(model).eval()


def exported(folder, model, pipeline=PIPELINE, **options):
    return export_model(model, pipeline, folder, "m", LABELS, ExportOptions(**options)).folder


def clip_of(num_frames=4, dtype=np.uint8):
    shape = (2, num_frames, 3, 32, 32)
    return np.random.default_rng(7).integers(0, 256, shape).astype(dtype)


def bundle_logits(folder, clip):
    engine = open_engine(read_bundle(folder).clip_files, EngineOptions(engine="paddle"))
    (logits,) = engine.run({"clip": clip}).values()
    return logits


def logits_of(model, clip):
    with paddle.no_grad():
        return model(paddle.to_tensor(clip)).numpy()


def reimported(folder, scaling=None):
    """A new model with the weights of a bundle; all are matched and none is left over."""
    imported = import_bundle(folder)
    section = model_section(imported.model, **imported.options)
    section |= {"scaling": scaling} if scaling else {}
    model = build_recognizer(section).eval()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    imported.require_fit(shapes, imported.model)
    load_weights(model, folder)
    return imported, model


STREAM_OPTIONS = [
    {},
    {"conv_type": "3d"},
    NO_GATES,
    {"se_type": "2d", "gating_activation": "sigmoid"},
    {"se_type": "3d", "gating_activation": "keras_hard_sigmoid", "activation": "leaky_relu"},
    {"use_positional_encoding": True, "activation": "gelu"},
    {"activation": "hard_sigmoid", "gating_activation": "tanh", "classifier_activation": "mish"},
    {"activation": "keras_hard_sigmoid", "gating_activation": "relu"},
]
BASE_OPTIONS = [
    {},
    {"conv_type": "2plus1d", "se_type": "2plus3d", "gating_activation": "hard_sigmoid"},
    {"se_type": "none", "activation": "relu"},
    {"se_type": "2d", "activation": "hard_sigmoid"},
    {"activation": "keras_hard_sigmoid", "classifier_activation": "leaky_relu"},
]


def check_round_trip(folder, name, options, **export):
    model = built(name, **options)
    exported(folder, model, **export)
    imported, again = reimported(folder)
    section = model_section(imported.model, **imported.options)
    expected = model_section(name, num_classes=NUM_CLASSES, **options)
    for kind in ("backbone", "head"):
        found = {key: section[kind].get(key) for key in expected[kind]}
        if options.get("se_type") == "none":
            found["gating_activation"] = expected[kind].get("gating_activation")
        assert {key: v for key, v in found.items() if key in expected[kind]} == expected[kind]
    assert imported.class_names == LABELS and imported.scaling is None
    assert is_folded(again)
    clip = clip_of()
    found = logits_of(again, clip)
    assert relative_error(found, bundle_logits(folder, clip)) < TOLERANCE
    return found, logits_of(model, clip)


@pytest.mark.parametrize("options", STREAM_OPTIONS, ids=str)
def test_streams(tmp_path, options):
    found, before = check_round_trip(tmp_path, T0, options)
    assert relative_error(found, before) < TOLERANCE


@pytest.mark.parametrize("options", BASE_OPTIONS, ids=str)
def test_networks_of_clips(tmp_path, options):
    found, before = check_round_trip(tmp_path, T0_BASE, options)
    assert relative_error(found, before) < TOLERANCE


@pytest.mark.parametrize(
    "name",
    [
        "movinet_a0_base",
        "movinet_a0_stream",
        pytest.param("movinet_a2_stream", marks=pytest.mark.slow),
    ],
)
def test_variants(tmp_path, name):
    found, before = check_round_trip(tmp_path, name, {})
    assert relative_error(found, before) < TOLERANCE


@pytest.mark.parametrize("name", [T0, T0_BASE])
def test_float16(tmp_path, name):
    check_round_trip(tmp_path, name, {}, precision="fp16")


def test_paddlevideos_padding(tmp_path):
    pipeline = {**PIPELINE, "transform": [{"Scale": {"short_size": 80}},
                {"CenterCrop": {"target_size": 80}}, "Image2Array"]}  # fmt: skip
    model = built("movinet_a0_base", padding="paddlevideo")
    exported(tmp_path, model, pipeline)
    imported, again = reimported(tmp_path)
    assert imported.options["padding"] == "paddlevideo"
    clip = np.random.default_rng(7).integers(0, 256, (1, 4, 3, 80, 80), np.uint8)
    assert relative_error(logits_of(again, clip), bundle_logits(tmp_path, clip)) < TOLERANCE


def test_a_causal_network_exported_for_clips_only(tmp_path):
    """Of the clip program the positional encoding and a whole causal kernel are read too."""
    pipeline = {**PIPELINE, "sample": {"name": "UniformSampler", "num_frames": 6}}
    model = built(T0, use_positional_encoding=True)
    exported(tmp_path, model, pipeline, mode="clip")
    imported, again = reimported(tmp_path)
    assert imported.model == T0 and imported.options["use_positional_encoding"]
    clip = clip_of(9)  # frames that the exported program never saw
    assert relative_error(logits_of(again, clip), logits_of(model, clip)) < TOLERANCE


def test_a_clip_of_too_few_frames_shows_no_whole_kernel(tmp_path):
    exported(tmp_path, built(T0), mode="clip")
    with pytest.raises(WeightsError, match="or clips too short for whole kernels"):
        import_bundle(tmp_path)


SCALING = {"scale": 1 / 255, "mean": [0.45, 0.4, 0.5], "std": [0.225, 0.25, 0.2]}


def test_scaling_of_pixels(tmp_path):
    model = built(T0, SCALING)
    exported(tmp_path, model)
    clip = clip_of()
    _, again = reimported(tmp_path, SCALING)
    assert relative_error(logits_of(again, clip), logits_of(model, clip)) < TOLERANCE
    found = import_bundle(tmp_path).scaling
    _, again = reimported(tmp_path, found)
    assert relative_error(logits_of(again, clip), logits_of(model, clip)) < TOLERANCE
    with pytest.raises(WeightsError, match=r"Set MODEL\.scaling: \{'scale'"):
        reimported(tmp_path)


def test_a_pipeline_that_scales(tmp_path):
    numbers = {"mean": [0.0] * 3, "std": [1.0] * 3, "tensor_shape": [3, 1, 1]}
    transform = [*PIPELINE["transform"], {"Normalization": numbers}]
    model = built(T0_BASE, {"scale": 1.0})
    exported(tmp_path, model, {**PIPELINE, "transform": transform})
    assert import_bundle(tmp_path).scaling == {"scale": 1.0}
    _, again = reimported(tmp_path, {"scale": 1.0})
    clip = clip_of(dtype=np.float32) / 255
    assert relative_error(logits_of(again, clip), bundle_logits(tmp_path, clip)) < TOLERANCE


# --- what it is for


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("bundle") / "b", built(T0))


@pytest.fixture
def copied(stream, tmp_path):
    return shutil.copytree(stream, tmp_path / "copy")


def test_create_model_wants_the_bundles_options(stream):
    with pytest.raises(WeightsError, match=r"se_type: 2plus3d \(the model has none\)"):
        paddlevideo.create_model(T0, NUM_CLASSES, weights=stream, se_type="none")
    model = paddlevideo.create_model(T0, 7, weights=stream)  # another number of classes
    assert model.num_classes == 7 and is_folded(model)


def test_batch_norm_is_put_back(stream):
    _, model = reimported(stream)
    clip = clip_of()
    before = logits_of(model, clip)
    restore_batch_norm(model, [paddle.to_tensor(clip_of(8))])
    assert not is_folded(model)
    assert relative_error(logits_of(model, clip), before) < TOLERANCE


# --- what is refused


def rewritten(folder, name, content):
    """Replace a file and its facts in the manifest, as a hostile writer would."""
    (folder / name).write_bytes(content)
    manifest = yaml.safe_load((folder / "inference.yml").read_text())
    manifest["files"][name] = {"size": len(content), "sha256": sha256_of(folder / name)}
    (folder / "inference.yml").write_text(yaml.safe_dump(manifest))


def test_no_bundle(tmp_path, copied):
    with pytest.raises(BundleError, match=r"has no inference\.yml"):
        paddlevideo.create_model(T0, NUM_CLASSES, weights=tmp_path)
    params = copied / "m_step.pdiparams"
    params.write_bytes(params.read_bytes()[:-1])
    with pytest.raises(BundleError, match="is not the file that was exported"):
        import_bundle(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-3], "ends within a tensor"),
        (lambda data: data + b"more", "4 bytes belong to no parameter"),
        (lambda data: b"", "damaged or not the weights"),
        (lambda data: b"\1" + data[1:], "no valid beginning"),
        (lambda data: data[:20] + b"\xff" * 10 + data[30:], "damaged or not the weights"),
        (lambda data: data.replace(b"\x08\x05\x10\x08\x10\x03", b"\x08\x05\x10\x10\x10\x03", 1),
         "in the program"),
        (lambda data: data[:30] + b"\xff\xff\xff\x7f" * 10 + data[70:], "not finite|huge|damaged"),
    ],
)  # fmt: skip
def test_damaged_weights(copied, change, message):
    rewritten(copied, "m_step.pdiparams", change((copied / "m_step.pdiparams").read_bytes()))
    with pytest.raises(WeightsError, match=message):
        import_bundle(copied)


def operations_of(document):
    return document["program"]["regions"][0]["blocks"][0]["ops"]


def without_kind(kind):
    def change(document):
        operations = operations_of(document)
        operations[:] = [item for item in operations if item["#"] != f"1.{kind}"]

    return change


def renamed(before, after):
    def change(document):
        for item in operations_of(document):
            if item["#"] == f"1.{before}":
                item["#"] = f"1.{after}"

    return change


def self_reading(document):
    item = next(item for item in operations_of(document) if item["#"] == "1.add")
    item["I"][0]["%"] = item["O"][0]["%"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_kind("reciprocal"), "reads what was not computed"),
        (renamed("hardswish", "celu"), "no 1x1 convolution|no stem|bottlenecks"),
        (renamed("add", "subtract"), "what gives the logits"),
        (renamed("pool2d", "transpose"), "no mean"),
        (renamed("conv2d", "depthwise_conv2d_other"), "what gives the logits"),
        (self_reading, "reads what was not computed"),
        (lambda document: operations_of(document).clear(), "belong to no parameter"),
        (lambda document: document.pop("program"), "damaged or not a program"),
        (lambda document: document.update(program=[[[]]]), "damaged or not a program"),
    ],
)
def test_foreign_programs(copied, change, message):
    document = json.loads((copied / "m_step.json").read_text())
    change(document)
    rewritten(copied, "m_step.json", json.dumps(document).encode())
    with pytest.raises(WeightsError, match=message):
        import_bundle(copied)


@pytest.mark.parametrize("content", [b"", b"[" * 200_000, b"\xff\xfe{}", b"null", b"[1]"])
def test_no_program(copied, content):
    rewritten(copied, "m_step.json", content)
    with pytest.raises(WeightsError, match=r"m_step\.json: damaged or not a program"):
        import_bundle(copied)


def test_a_program_that_is_too_long(copied, monkeypatch):
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "program_bytes=1000")
    with pytest.raises(WeightsError, match="at most 1000 are read"):
        import_bundle(copied)


def test_a_quantised_bundle(copied):
    manifest = yaml.safe_load((copied / "inference.yml").read_text())
    for program in manifest["programs"]:
        program["precision"] = "int8"
    (copied / "inference.yml").write_text(yaml.safe_dump(manifest))
    with pytest.raises(WeightsError, match="is quantised"):
        import_bundle(copied)


def test_any_byte_may_be_wrong(copied):
    """Whatever is changed, the answer is weights or one error of ours."""
    rng = np.random.default_rng(0)
    data = (copied / "m_step.json").read_bytes()
    for _ in range(30):
        changed = bytearray(data)
        for position in rng.integers(0, len(data), 3):
            changed[position] = rng.integers(32, 127)
        rewritten(copied, "m_step.json", bytes(changed))
        try:
            imported = import_bundle(copied)
        except WeightsError:
            continue
        assert imported.model == T0
