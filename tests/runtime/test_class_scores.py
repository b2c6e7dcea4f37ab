"""The best classes of many, without sorting all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.runtime.class_scores import best_classes, softmax


@given(
    scores=st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, np.nan]), min_size=1, max_size=40),
    top_k=st.integers(1, 45),
)
def test_best_first_and_of_equal_ones_the_first(scores, top_k):
    """As a stable sort has them; what is no number comes last."""
    probabilities_N = np.array(scores, np.float32)
    found = best_classes(probabilities_N, None, top_k)
    expected = np.argsort(-probabilities_N, kind="stable")[:top_k].tolist()
    assert [item.index for item in found] == expected
    np.testing.assert_array_equal([item.score for item in found], probabilities_N[expected])


@given(rows=st.integers(1, 9), classes=st.integers(1, 700), seed=st.integers(0, 99))
def test_a_row_s_probabilities_do_not_depend_on_the_others(rows, classes, seed):
    """To the bit: a stream's answers are the same in a pool and alone."""
    logits_BN = np.random.default_rng(seed).standard_normal((rows, classes)).astype(np.float32)
    alone = np.concatenate([softmax(row_N[None]) for row_N in logits_BN])
    np.testing.assert_array_equal(softmax(logits_BN), alone)
    np.testing.assert_array_equal(np.stack([softmax(row_N) for row_N in logits_BN]), alone)
