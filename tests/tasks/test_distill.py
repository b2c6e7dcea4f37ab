"""Distillation against plain NumPy: loss and gradient, who may teach whom, what is saved."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modeling.conftest import randomise

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.tasks.distill import (
    DistilledLoss,
    DistillSection,
    Teacher,
    TeacherPart,
    distillation_loss,
)
from paddlevideo.utils.errors import ConfigError, WeightsError


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.floats(0.5, 20.0))
def test_loss_and_gradient(seed, temperature):
    rng = np.random.default_rng(seed)
    s, t = (3 * rng.standard_normal((4, 5)) for _ in range(2))
    student = paddle.to_tensor(s.astype("float32"), stop_gradient=False)
    loss = distillation_loss(student, paddle.to_tensor(t.astype("float32")), temperature)
    loss.backward()
    p, q = softmax(t / temperature), softmax(s / temperature)
    expected = temperature**2 * (p * (np.log(p) - np.log(q))).sum(-1).mean()
    np.testing.assert_allclose(float(loss), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(student.grad.numpy(), temperature * (q - p) / 4, atol=1e-4)


def build(name="movinet_t0_base", num_classes=3, **options):
    return randomise(build_recognizer(model_section(name, num_classes=num_classes, **options)))


def teacher_of(model=None, **changes):
    return replace(Teacher(model or build(), {}, None, "teacher"), **changes)


def batch():
    clip = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 32, 32)).astype("uint8")
    return {"clip": paddle.to_tensor(clip), "label": paddle.to_tensor([0, 2])}


def test_the_loss_of_a_step():
    """A mean of both terms; dropout and batch statistics of the teacher are off; no gradient."""
    student, model = build(), build(dropout=0.5, stochastic_depth=0.5)
    model.train()
    teacher = teacher_of(model)
    student.eval()
    section = DistillSection(teacher="x", temperature=2.0, alpha=0.3)
    layer = DistilledLoss(student, teacher, section)
    result = layer(batch())
    own = student.loss(batch())
    s, t = own["logits"].numpy().astype("float64"), teacher.logits(batch()).numpy()
    p, q = softmax(t / 2.0), softmax(s / 2.0)
    kl = (p * (np.log(p) - np.log(q))).sum(-1).mean()
    expected = 0.7 * float(own["loss"]) + 0.3 * 4.0 * kl
    np.testing.assert_allclose(float(result["loss"]), expected, rtol=1e-5)
    layer.train()
    assert student.training and not model.training
    assert {p.name for p in layer.parameters()} == {p.name for p in student.parameters()}
    before = {name: p.numpy() for name, p in model.named_parameters()}
    layer(batch())["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None
        np.testing.assert_array_equal(parameter.numpy(), before[name])


def test_clips_of_another_size():
    """Resized bilinearly on the device; equal sizes are handed on as they are."""
    teacher = teacher_of(sizes={"clip": (48, 40)})
    seen = []
    teacher.model.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    given = batch()
    teacher.logits(given)
    assert seen[0].shape == [2, 2, 3, 48, 40]
    images = given["clip"].astype("float32").reshape([4, 3, 32, 32])
    expected = paddle.nn.functional.interpolate(images, [48, 40], mode="bilinear").numpy()
    np.testing.assert_array_equal(seen[0].numpy().reshape(4, 3, 48, 40), expected)
    same = teacher_of(teacher.model, sizes={"clip": (32, 32)})
    same.logits(given)
    assert seen[1].dtype == paddle.uint8


def test_who_may_teach():
    student, names = build(), ["a", "b", "c"]
    teacher_of().check_student(student, names)
    teacher_of(class_names=names).check_student(student, None)
    teacher_of(class_names=names).check_student(student, names)
    with pytest.raises(ConfigError, match=r"teacher has 4 classes, the model 3"):
        teacher_of(build(num_classes=4)).check_student(student, names)
    with pytest.raises(ConfigError, match='class 1 of teacher is "x", of the training data "b"'):
        teacher_of(class_names=["a", "x", "c"]).check_student(student, names)
    scaled = model_section("movinet_t0_base", num_classes=3)
    scaled["scaling"] = {"scale": 1.0}
    with pytest.raises(ConfigError, match="differ in who scales"):
        teacher_of(build_recognizer(scaled)).check_student(student, names)


def test_another_teacher_is_refused_at_resume():
    one, other = TeacherPart(teacher_of()), build()
    state = one.state_dict()
    one.check_state(state, "file")
    parameter = other.parameters()[0]
    parameter.set_value(parameter + 1.0)
    with pytest.raises(WeightsError, match="other weights of the teacher"):
        TeacherPart(teacher_of(other)).check_state(state, "file")
