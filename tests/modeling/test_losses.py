"""The training loss: both labels of a mixed clip, smoothing, class weights, all against NumPy."""

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paddle import nn

from paddlevideo.modeling import RECOGNIZERS, build_recognizer, model_section
from paddlevideo.modeling.losses import CrossEntropyLoss, give_class_counts, loss_of_labels
from paddlevideo.modeling.losses.class_weights import balanced_weights
from paddlevideo.utils.errors import ConfigError

CLASSES = 4
LABELS = np.array([0, 3, 2, 1, 1, 0])
OTHERS = np.array([1, 3, 0, 2, 0, 3])
LOGITS = np.random.default_rng(0).normal(0, 2, (6, CLASSES)).astype(np.float32)
WEIGHTS = [0.5, 2.0, 1.0, 3.0]


def cross_entropy(labels, smoothing=0.0, weights=None):
    """Of `LOGITS` against a target distribution, from the definition, in float64."""
    logits = LOGITS.astype(np.float64)
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(CLASSES)[labels] + smoothing / CLASSES
    loss = -(target * log_probability).sum(axis=1)
    return (loss if weights is None else loss * np.array(weights)[labels]).mean()


def of(criterion, labels):
    return criterion(paddle.to_tensor(LOGITS), paddle.to_tensor(labels)).item()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("share", [0.5, 0.73, 1.0])
def test_a_mixed_batch_has_the_loss_of_both_labels(smoothing, weights, share):
    criterion = CrossEntropyLoss(smoothing, weights)
    batch = {
        "label": paddle.to_tensor(LABELS),
        "mixed_label": paddle.to_tensor(OTHERS),
        "mix_weight": paddle.to_tensor(share),
    }
    loss = loss_of_labels(criterion, paddle.to_tensor(LOGITS), batch).item()
    parts = [cross_entropy(labels, smoothing, weights) for labels in (LABELS, OTHERS)]
    assert loss == pytest.approx(share * parts[0] + (1 - share) * parts[1], rel=1e-5)
    plain = loss_of_labels(criterion, paddle.to_tensor(LOGITS), {"label": batch["label"]}).item()
    assert plain == pytest.approx(parts[0], rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_weights(smoothing):
    """In training; validation is the plain loss."""
    criterion = CrossEntropyLoss(smoothing, WEIGHTS)
    assert of(criterion, LABELS) == pytest.approx(
        cross_entropy(LABELS, smoothing, WEIGHTS), rel=1e-5
    )
    criterion.eval()
    assert of(criterion, LABELS) == pytest.approx(cross_entropy(LABELS), rel=1e-5)


def test_balanced_weights_follow_the_counts():
    """N / (C n): the weight of a class falls with its size, and the mean over clips is 1."""
    model = nn.Sequential(nn.Linear(2, 2), CrossEntropyLoss(class_weights="balanced"))
    counts = [10, 40, 25, 5]
    give_class_counts(model, counts)
    weights = [80 / (4 * n) for n in counts]
    assert balanced_weights(counts) == weights == [2.0, 0.5, 0.8, 4.0]
    assert of(model[1], LABELS) == pytest.approx(cross_entropy(LABELS, weights=weights), rel=1e-5)
    assert not any("weights" in name for name in model.state_dict())


@given(st.lists(st.integers(0, 500), min_size=2, max_size=30).filter(any))
def test_balanced_weights_are_1_in_the_mean(counts):
    weights = balanced_weights(counts)
    assert np.dot(weights, counts) / sum(counts) == pytest.approx(1.0)
    shares = [weight * count for weight, count in zip(weights, counts, strict=True) if count]
    assert np.ptp(shares) <= 1e-9 * sum(counts)


def test_counts_that_nobody_gave():
    with pytest.raises(ConfigError, match="balanced, and the counts of the training data are not"):
        of(CrossEntropyLoss(class_weights="balanced"), LABELS)


def test_another_number_of_weights():
    criterion = CrossEntropyLoss(class_weights=[1.0, 2.0], where="MODEL.loss")
    with pytest.raises(
        ConfigError, match=r"MODEL\.loss\.class_weights has 2 numbers, and the model 4"
    ):
        give_class_counts(criterion, [1, 2, 3, 4])


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0]])
def test_weights_that_cannot_be(weights):
    with pytest.raises(ConfigError, match="expected numbers of 0 and above"):
        CrossEntropyLoss(class_weights=weights)


def small(**options):
    section = model_section("movinet_t0_base", num_classes=CLASSES)
    return {**section, "loss": {"name": "CrossEntropyLoss", "label_smoothing": 0.1}, **options}


EXAMPLES = {
    "ClipRecognizer": lambda: small(),
    "EnsembleRecognizer": lambda: {
        "framework": "EnsembleRecognizer",
        "members": {"a": small(), "b": small()},
    },
}


def test_every_recognizer_is_listed_here():
    assert set(RECOGNIZERS) == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_recognizers_loss_is_that_of_both_labels(name):
    """As for every recognizer: `Recognizer.loss` sees a mixed batch."""
    model = build_recognizer(EXAMPLES[name]()).eval()
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 3, 32, 32), np.uint8)
    clips = {clip: paddle.to_tensor(pixels) for clip in model.input_specs()}
    label, other = paddle.to_tensor([0, 3]), paddle.to_tensor([2, 1])
    mixed = {"label": label, "mixed_label": other, "mix_weight": paddle.to_tensor(0.7)}
    with paddle.no_grad():
        loss = model.loss({**clips, **mixed})["loss"].item()
        parts = [model.loss({**clips, "label": one})["loss"].item() for one in (label, other)]
    assert loss == pytest.approx(0.7 * parts[0] + 0.3 * parts[1], rel=1e-5)
    assert parts[0] != parts[1]
