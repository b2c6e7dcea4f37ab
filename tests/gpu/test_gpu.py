"""What needs a GPU: the same results as on the CPU, mixed precision, Paddle Inference, TensorRT.

Skipped where there is none. Every test goes through the code that the CPU tests go through.
"""

import numpy as np
import paddle
import pytest

import paddlevideo
from paddlevideo.export import export_clip_model
from paddlevideo.runtime import load_predictor
from paddlevideo.tasks.step import Precision, TrainStep

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not paddle.device.is_compiled_with_cuda() or paddle.device.cuda.device_count() == 0,
        reason="needs an NVIDIA GPU and a GPU build of Paddle",
    ),
]
PIPELINE = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "UniformSampler", "num_frames": 4},
    "transform": [{"Resize": {"height": 64, "width": 64}}, {"Image2Array": None}],
}


def model_on(device: str):
    paddle.set_device(device)
    paddle.seed(0)
    model = paddlevideo.create_model("movinet_a0_base", num_classes=7)
    for name, parameter in model.named_parameters():
        if name.endswith("rezero.scale"):
            parameter.set_value(paddle.full([1], 0.3))
    return model


def clips(batch_size: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (batch_size, 4, 3, 64, 64)).astype(np.uint8)


@pytest.fixture(autouse=True)
def back_to_cpu():
    yield
    paddle.set_device("cpu")


def test_logits_equal_the_cpus():
    on_cpu = model_on("cpu").eval()
    state = {name: tensor.numpy() for name, tensor in on_cpu.state_dict().items()}
    expected = on_cpu(paddle.to_tensor(clips())).numpy()
    on_gpu = model_on("gpu")
    on_gpu.set_state_dict({name: paddle.to_tensor(array) for name, array in state.items()})
    on_gpu.eval()
    np.testing.assert_allclose(on_gpu(paddle.to_tensor(clips())).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(
    "precision", [Precision(), Precision(True, "O1"), Precision(True, "O2")], ids=str
)
def test_training_steps_lower_the_loss(precision):
    model = model_on("gpu")
    model.train()
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=model.parameters())
    step = TrainStep(model, optimizer, precision)
    batch = {"clip": paddle.to_tensor(clips()), "label": paddle.to_tensor([0, 1])}
    losses = [step(batch, 1e-3, 1, True)["loss"].item() for _ in range(20)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("use_tensorrt", [False, True])
def test_exported_model_equals_the_cpus(tmp_path, use_tensorrt):
    export_clip_model(model_on("cpu"), PIPELINE, tmp_path, "model")
    expected = load_predictor(tmp_path, device="cpu").classify({"clip": clips()}, ["a", "b"], 7)
    predictor = load_predictor(tmp_path, device="gpu", use_tensorrt=use_tensorrt)
    for ours, theirs in zip(
        predictor.classify({"clip": clips()}, ["a", "b"], 7), expected, strict=True
    ):
        assert [item.index for item in ours.top] == [item.index for item in theirs.top]
        np.testing.assert_allclose(ours.score, theirs.score, atol=1e-3)
