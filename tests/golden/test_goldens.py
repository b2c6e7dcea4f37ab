"""The networks give what they gave when TensorFlow's and PaddleVideo's goldens were met.

Those goldens are large and not part of the project; these small ones of our own are, so that a
clean clone proves the arithmetic: clip, stream, one training step (golden/answers.py).
"""

import numpy as np
import pytest

from golden.answers import FOLDER, SPLITS, TRAINED, clip_answers, stream_answers, training_answers
from golden.networks import NETWORKS, uniform

TOLERANCE = 1e-5  # of the largest absolute value of each array
FIRST_OF_THE_STEM = [0.34223327311119744, 0.6883272206970462, 0.7792725395467461]
STREAMS = [name for name in NETWORKS if "stream" in name]


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as content:
        return {key: content[key] for key in content.files}


def kept(name: str, *kinds: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in golden(name).items() if key.split("/")[0] in kinds}


def assert_close(ours: dict[str, np.ndarray], expected: dict[str, np.ndarray], share: float):
    assert set(ours) == set(expected) and expected
    for key, array in expected.items():
        difference = np.abs(ours[key].astype(np.float64) - array).max()
        assert difference <= share * np.abs(array).max(), key


def test_the_hash_is_fixed():
    found = uniform("backbone.stem", 3)
    assert np.allclose(found, FIRST_OF_THE_STEM, rtol=0, atol=1e-15)
    assert 0.49 < uniform("clip", 100_000).mean() < 0.51


@pytest.mark.parametrize("name", NETWORKS)
def test_clip(name):
    assert_close(clip_answers(name), kept(name, "logits", "endpoint"), TOLERANCE)


@pytest.mark.parametrize("name", STREAMS)
def test_frame_by_frame(name):
    assert_close(stream_answers(name, SPLITS[0]), kept(name, "logits_after", "state"), TOLERANCE)


@pytest.mark.parametrize("name", STREAMS)
def test_any_split_ends_in_the_same_states(name):
    ours = stream_answers(name, SPLITS[1])
    expected = kept(name, "logits_after", "state")
    last = ours.pop("logits_after")[-1]
    assert_close({"last": last}, {"last": expected.pop("logits_after")[-1]}, TOLERANCE)
    assert_close(ours, expected, TOLERANCE)


@pytest.mark.parametrize("name", TRAINED)
def test_training_step(name):
    """Gradients to 1e-4 of their largest; those that are 0 but for rounding, of the network's."""
    ours, expected = training_answers(name), kept(name, "loss", "gradient", "running")
    assert set(ours) == set(expected)
    gradients = {key: array for key, array in expected.items() if key.startswith("gradient/")}
    largest = max(np.abs(array).max() for array in gradients.values())
    for key, array in gradients.items():
        difference = np.abs(ours[key] - array).max()
        assert difference <= 1e-4 * np.abs(array).max() + 1e-6 * largest, key
    rest = {key: array for key, array in expected.items() if key not in gradients}
    assert_close({key: ours[key] for key in rest}, rest, TOLERANCE)


def test_they_are_small():
    assert sum(file.stat().st_size for file in FOLDER.glob("*.npz")) < 1_000_000
