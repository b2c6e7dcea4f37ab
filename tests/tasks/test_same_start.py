"""Processes that begin unlike are refused, in all of them, with what differs."""

import json

import pytest

from paddlevideo.tasks import same_start
from paddlevideo.tasks.same_start import check_alike
from paddlevideo.utils.errors import ConfigError

ALIKE = {"the epoch to go on with": 3, "the weights": 2**32 - 1}


def checked_by(number, everybody, monkeypatch):
    """Check as process ``number`` of those whose facts are ``everybody``."""

    def exchanged(own):
        assert json.loads(own) == everybody[number]
        return [json.dumps(facts) for facts in everybody]

    monkeypatch.setattr(same_start, "exchange", exchanged)
    check_alike(everybody[number])


@pytest.mark.parametrize("number", range(3))
def test_alike(number, monkeypatch):
    checked_by(number, [ALIKE] * 3, monkeypatch)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("what", ALIKE)
def test_every_process_refuses(number, what, monkeypatch):
    unlike = {**ALIKE, what: ALIKE[what] - 1}
    message = f"do not begin alike: {what} of process 2 differs from that of process 0"
    with pytest.raises(ConfigError, match=message):
        checked_by(number, [ALIKE, ALIKE, unlike], monkeypatch)
