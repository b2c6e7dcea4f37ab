"""Bundles that were written before the manifest listed programs: read as they were meant."""

import hashlib

import pytest
import yaml

from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.utils.errors import BundleError

# As format 3 was written, but for the number of queues and labels.
THIRD = """
model_name: Small
mode: stream
program: Small.json
params: Small.pdiparams
inputs:
- {name: clip, shape: [-1, 4, 3, 32, 32], dtype: uint8, axes: BTCHW}
outputs:
- {name: logits, shape: [-1, 2], dtype: float32, axes: BN}
pipeline:
  decode: {name: VideoDecoder}
labels: [a, b]
versions: {paddle: 3.3.1}
files: {}
format_version: 3
onnx: Small.onnx
step:
  program: Small_step.json
  params: Small_step.pdiparams
  inputs:
  - {name: frame, shape: [-1, 3, 32, 32], dtype: uint8, axes: BCHW}
  outputs:
  - {name: logits, shape: [-1, 2], dtype: float32, axes: BN}
  queues:
  - name: state_block0
    length: 2
    shape: [-1, 8, 16, 16]
    dtype: float32
    inputs: [state_block0_0, state_block0_1]
    output: new_state_block0
  frame_rate: 5.0
  onnx: Small_step.onnx
  queue_rule: zeros at first; after a step drop the oldest input and push the output as the newest
precision: fp16
quantization: null
"""
CLIP = ["Small.json", "Small.pdiparams", "Small.onnx"]
STEP = ["Small_step.json", "Small_step.pdiparams", "Small_step.onnx"]


def read_old(folder, changes, names) -> Bundle:
    """A bundle with this manifest, and with files of these names."""
    document = yaml.safe_load(THIRD)
    step = changes.get("step", {})
    if isinstance(step, dict):
        step = {**document["step"], **step}
    document |= {**changes, "step": step}
    for name in names:
        (folder / name).write_text(name)
        digest = hashlib.sha256(name.encode()).hexdigest()
        document["files"][name] = {"size": len(name), "sha256": digest}
    (folder / "inference.yml").write_text(yaml.safe_dump(document))
    return read_bundle(folder)


def test_clip_and_step_in_both_formats(tmp_path):
    bundle = read_old(tmp_path, {}, CLIP + STEP)
    clip, step = bundle.manifest.programs
    assert (clip.kind, clip.precision) == ("clip", "fp16")
    assert clip.files == {"paddle": ("Small.json", "Small.pdiparams"), "onnx": ("Small.onnx",)}
    assert (step.kind, step.precision, step.frame_rate) == ("step", "fp16", 5.0)
    assert step.output_names == ("logits", "new_state_block0")
    assert step.queues[0].inputs == ("state_block0_0", "state_block0_1")
    manifest = bundle.manifest
    assert (manifest.labels, manifest.reference, manifest.format_version) == (["a", "b"], None, 4)
    assert manifest.inputs[0].shape == (-1, 4, 3, 32, 32)
    assert bundle.step_files.onnx == tmp_path / "Small_step.onnx"
    assert (bundle.program, bundle.params) == (tmp_path / CLIP[0], tmp_path / CLIP[1])


def test_a_quantised_one(tmp_path):
    changes = {"program": None, "params": None, "onnx": None, "precision": "int8"}
    bundle = read_old(
        tmp_path, {**changes, "step": {"program": None, "params": None}}, ["Small_step.onnx"]
    )
    (step,) = bundle.manifest.programs
    assert (step.files, step.precision) == ({"onnx": ("Small_step.onnx",)}, "int8")
    assert bundle.manifest.inputs[0].shape == (-1, -1, 3, 32, 32)
    assert bundle.manifest.outputs[0].shape == (-1, 2)


@pytest.mark.parametrize("version", [1, 2])
def test_one_of_clips_in_the_formats_before(tmp_path, version):
    changes = {"format_version": version, "onnx": None, "mode": "clip", "step": None}
    (clip,) = read_old(tmp_path, changes, CLIP[:2]).manifest.programs
    assert list(clip.files) == ["paddle"] and clip.kind == "clip"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": None}, "program and params belong together"),
        ({"step": {"program": None}}, "step: program and params belong together"),
        ({"step": "Small"}, "step: expected a mapping, got 'Small'"),
        ({"precision": "fp8"}, "precision: Input should be 'fp32', 'fp16' or 'int8'"),
        ({"inputs": None}, "inputs"),
        ({"step": {"queues": 3}}, "queues"),
        ({"program": None, "params": None, "onnx": None, "step": None}, "names neither a clip"),
    ],
)
def test_ones_that_cannot_be(tmp_path, changes, message):
    with pytest.raises(BundleError, match=message):
        read_old(tmp_path, changes, CLIP + STEP)
