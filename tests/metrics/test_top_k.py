"""Top-k accuracy: exact against brute force, whatever the batches."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.metrics import METRICS, Metric, TopKAccuracy
from paddlevideo.utils.errors import ConfigError


def brute_force(logits, labels, readable, topk):
    """Sample by sample, in plain Python."""
    result = {f"top{k}": 0 for k in topk}
    losses = []
    for row, label, is_readable in zip(logits, labels, readable, strict=True):
        if not is_readable:
            continue
        own = float(row[label])
        others = [float(value) for place, value in enumerate(row) if place != label]
        rank = sum(other >= own for other in others)  # a tie counts against the label
        for k in topk:
            result[f"top{k}"] += rank < k
        losses.append(math.log(sum(math.exp(float(value) - own) for value in row)))
    result = {key: count / len(labels) for key, count in result.items()}
    result["loss"] = sum(losses) / max(len(losses), 1)
    result["samples"] = len(labels)
    result["unreadable"] = len(labels) - len(losses)
    return result


@st.composite
def samples(draw):
    num_samples, num_classes = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    # few distinct values, so that ties are common
    value = st.sampled_from([-3.0, -0.5, 0.0, 0.25, 1.0, 4.0]) | st.floats(-20, 20, width=32)
    row = st.lists(value, min_size=num_classes, max_size=num_classes)
    logits = draw(st.lists(row, min_size=num_samples, max_size=num_samples))
    labels = draw(
        st.lists(st.integers(0, num_classes - 1), min_size=num_samples, max_size=num_samples)
    )
    readable = draw(st.lists(st.booleans(), min_size=num_samples, max_size=num_samples))
    cuts = draw(st.lists(st.integers(0, num_samples), max_size=4))
    topk = draw(st.sampled_from([(1, 5), (1,), (3, 1, 2), (5, 100)]))
    return (
        np.array(logits, "float32"),
        np.array(labels, "int64"),
        np.array(readable),
        sorted({0, num_samples, *cuts}),
        topk,
    )


@settings(deadline=None, max_examples=150)
@given(samples())
def test_exact_for_any_split_into_batches(drawn):
    logits, labels, readable, cuts, topk = drawn
    expected = brute_force(logits, labels, readable, topk)
    metric = TopKAccuracy(topk)
    for start, stop in itertools.pairwise(cuts):
        metric.update(logits[start:stop], labels[start:stop], readable[start:stop])
    result = metric.result()
    assert list(result) == [*(f"top{k}" for k in topk), "loss", "samples", "unreadable"]
    assert result == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert all(type(value) in (float, int) for value in result.values())
    assert metric.result() == result


@pytest.mark.parametrize("logits", [0.0, 7.5])
def test_a_collapsed_model_is_not_right(logits):
    metric = TopKAccuracy()
    metric.update(np.full((10, 10), logits, "float32"), np.arange(10))
    result = metric.result()
    assert (result["top1"], result["top5"]) == (0.0, 0.0)
    assert result["loss"] == pytest.approx(math.log(10))


def test_fewer_classes_than_k():
    metric = TopKAccuracy()
    metric.update(np.array([[3.0, 1, 2], [3.0, 1, 2]]), np.array([1, 0]))
    assert metric.result()["top1"] == 0.5 and metric.result()["top5"] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_number_is_wrong_and_seen_in_the_loss(bad, place):
    logits = np.array([[1.0, 2, 3], [3.0, 2, 1]])
    logits[0, place] = bad
    metric = TopKAccuracy((1, 5))
    with np.errstate(all="ignore"):
        metric.update(logits, np.array([0, 0]))
    result = metric.result()
    assert (result["top1"], result["top5"]) == (0.5, 0.5)
    if not (bad == -np.inf and place == 1):  # a class that is ruled out costs nothing
        assert result["loss"] == np.inf


def test_an_unreadable_sample_counts_as_wrong_and_not_in_the_loss():
    metric = TopKAccuracy((1,))
    logits = np.array([[9.0, 0], [9.0, 0], [np.nan, 0]])
    with np.errstate(all="ignore"):
        metric.update(logits, np.array([0, 0, 0]), np.array([True, False, False]))
    result = metric.result()
    assert result["top1"] == pytest.approx(1 / 3)
    assert result["loss"] == pytest.approx(math.log1p(math.exp(-9)))
    assert (result["samples"], result["unreadable"]) == (3, 2)


def test_large_logits_do_not_overflow():
    metric = TopKAccuracy((1,))
    metric.update(np.array([[1e4, 0], [-1e4, 0]], "float32"), np.array([0, 0]))
    assert metric.result()["loss"] == pytest.approx(5e3)


def test_labels_of_shape_b_1_and_reset():
    metric = TopKAccuracy((1,))
    metric.update(np.eye(3), np.array([[0], [1], [0]]))
    assert metric.result()["top1"] == pytest.approx(2 / 3)
    metric.reset()
    assert metric.result() == {"top1": 0.0, "loss": 0.0, "samples": 0, "unreadable": 0}


def test_built_by_both_names():
    for name in ("TopKAccuracy", "CenterCropMetric"):
        assert METRICS.build({"name": name, "topk": [1, 3]}, "METRIC").topk == (1, 3)
    assert METRICS.build({"name": "CenterCropMetric"}, "METRIC").topk == (1, 5)


@pytest.mark.parametrize("topk", [[], [0], [1, -5], 5, ["x"], None])
def test_wrong_topk(topk):
    with pytest.raises(ConfigError, match="METRIC"):
        METRICS.build({"name": "TopKAccuracy", "topk": topk}, "METRIC")


def test_which_result_is_better():
    metric = TopKAccuracy((5, 1))
    assert metric.headline == "top1"
    assert metric.is_better({"top1": 0.0, "loss": 9.0}, {})
    assert metric.is_better({"top1": 0.6, "loss": 9.0}, {"top1": 0.5, "loss": 1.0})
    assert metric.is_better({"top1": 0.5, "loss": 0.9}, {"top1": 0.5, "loss": 1.0})
    assert not metric.is_better({"top1": 0.5, "loss": 1.0}, {"top1": 0.5, "loss": 1.0})
    assert not metric.is_better({"top1": 0.4, "loss": 0.1}, {"top1": 0.5, "loss": 1.0})


class MeanError(Metric):
    """One of which less is better."""

    more_is_better = False
    headline = "error"

    def reset(self):
        self.errors = []

    def update(self, logits_BN, label_B, readable_B=None):
        self.errors += list(abs(logits_BN[:, 0] - label_B))

    def result(self):
        return {"error": float(np.mean(self.errors))}


def test_less_may_be_better():
    metric = MeanError()
    assert metric.is_better({"error": 2.0}, {})
    assert metric.is_better({"error": 1.0}, {"error": 2.0})
    assert not metric.is_better({"error": 2.0}, {"error": 2.0})
    assert metric.summary({"error": 2.0}) == ["error= 2.00000"]


def test_a_class_that_is_no_whole_metric_is_refused():
    class Half(Metric):
        headline = "half"

        def reset(self): ...

    with pytest.raises(TypeError, match="metric Half lacks result, update of the interface Metric"):
        METRICS.register(Half)
    assert "Half" not in METRICS
