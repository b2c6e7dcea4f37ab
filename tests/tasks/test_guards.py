"""What is judged of a step: finite numbers, the gradient's norm, and the share of bad samples."""

import json

import numpy as np
import paddle
import pytest

from paddlevideo.tasks.agreement import Agreement
from paddlevideo.tasks.guards import MOST_SKIPPED_STEPS, Guards, Samples, gradient_norm
from paddlevideo.utils.errors import DataError, NonFiniteError, WeightsError
from tasks.test_step import batches, make

FILES = [f"v{number}.mp4" for number in range(30)]


def samples(share=0.2, per_epoch=10):
    def paths(indices):
        return [FILES[index] for index in indices]

    return Samples(paths, per_epoch, share, "run/bad_samples.jsonl")


def judged(guards, loss=1.0, logits=0.0, norm=1.0, replaced=(), count=6, may_skip=False):
    batch = {
        "index": paddle.arange(count),
        "replaced": paddle.to_tensor([number in replaced for number in range(count)]),
    }
    result = {"loss": paddle.to_tensor(loss), "logits": paddle.full([count, 2], logits)}
    guards.judge(batch, result, None if norm is None else paddle.to_tensor(norm), may_skip)


def test_the_norm_is_numpys():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype("float32") for shape in ([3, 4], [5], [2, 1, 3])]
    expected = np.sqrt(sum((array.astype("float64") ** 2).sum() for array in arrays))
    norm = gradient_norm([paddle.to_tensor(array) for array in arrays])
    assert norm.shape == [] and float(norm) == pytest.approx(expected, rel=1e-6)
    assert float(gradient_norm([])) == 0.0


def test_the_norm_of_a_group_is_that_of_the_averaged_gradient():
    several = batches(3)
    together = {key: paddle.concat([batch[key] for batch in several]) for key in several[0]}
    _, step = make()
    results = [step(batch, 0.1, 3, update=n == 2) for n, batch in enumerate(several)]
    assert ["grad_norm" in result for result in results] == [False, False, True]
    model, _ = make()
    gradients = paddle.grad(model.loss(together)["loss"], model.parameters())
    expected = np.sqrt(sum((gradient.numpy() ** 2).sum() for gradient in gradients))
    assert float(results[2]["grad_norm"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"loss": np.nan}, "the loss is not finite"),
        ({"logits": np.inf}, "the logits are"),
        ({"norm": np.nan}, "the gradients are"),
        ({"loss": np.nan, "norm": np.inf}, "the loss and the gradients are"),
    ],
)
def test_what_is_not_finite_is_named_with_its_samples(bad, named):
    with pytest.raises(NonFiniteError) as caught:
        judged(Guards(Agreement(), samples()), **bad)
    message = str(caught.value)
    assert named in message
    assert message.endswith("for the samples v0.mp4, v1.mp4, v2.mp4, v3.mp4 and 2 more")


def test_nothing_moves_by_a_bad_step():
    model, step = make()
    before = model.dense.weight.numpy()
    (batch,) = batches(1)
    batch["clip"][0, 0] = np.inf
    with pytest.raises(NonFiniteError):
        step(batch, 0.1, 1, update=True)
    np.testing.assert_array_equal(model.dense.weight.numpy(), before)


def test_some_bad_steps_in_a_row_are_skipped_where_losses_are_scaled():
    guards = Guards(Agreement(), samples())
    for _ in range(MOST_SKIPPED_STEPS):
        judged(guards, loss=np.inf, may_skip=True)
    judged(guards, may_skip=True)
    assert guards.summary()["skipped_steps"] == MOST_SKIPPED_STEPS
    guards.reset()
    assert "skipped_steps" not in guards.summary()
    for _ in range(MOST_SKIPPED_STEPS):
        judged(guards, loss=np.inf, may_skip=True)
    with pytest.raises(NonFiniteError, match="33 steps in a row for the samples"):
        judged(guards, loss=np.inf, may_skip=True)


def test_unreadable_samples_are_counted_and_bounded():
    guards = Guards(Agreement(), samples())
    judged(guards, replaced=[3])
    assert guards.summary() == {"bad_samples": 1, "bad_share": 0.1}
    resumed = Guards(Agreement(), samples())
    resumed.load_state_dict(guards.state_dict(), "state")
    judged(resumed, replaced=[0])
    assert resumed.summary()["bad_samples"] == 2
    with pytest.raises(DataError) as caught:
        judged(resumed, replaced=[0])
    assert "3 of the 10 samples of this epoch" in str(caught.value)
    assert "max_bad_share 0.2 allows (2); run/bad_samples.jsonl lists" in str(caught.value)
    with pytest.raises(DataError):
        judged(Guards(Agreement(), samples(share=0.0)), replaced=[0])
    judged(Guards(Agreement(), samples(share=0.01)), replaced=[0])  # one of a small set may be


def test_a_state_that_is_none():
    with pytest.raises(WeightsError, match=r"guards\.json"):
        Guards(Agreement()).check_state({"bad_samples": -1}, "guards.json")


def test_all_processes_judge_alike():
    """Process 1 has the bad batch; the message of both names its samples, not their own."""
    other = {"facts": {"bad": ["loss"], "replaced": 2, "paths": ["far.mp4"], "more": 7},
             "save": False}  # fmt: skip

    def talk(text):
        return [text, json.dumps(other)]

    guards = Guards(Agreement(talk), samples())
    with pytest.raises(NonFiniteError, match=r"samples of process 1 far\.mp4 and 7 more"):
        judged(guards, norm=np.nan)
