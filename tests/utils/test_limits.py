"""Limits: one table, one variable."""

import re
from pathlib import Path

import pytest

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.limits import DEFAULT_LIMITS, LIMITS_VARIABLE, how_to_raise, limit


def test_defaults(monkeypatch):
    monkeypatch.delenv(LIMITS_VARIABLE, raising=False)
    assert {name: limit(name) for name in DEFAULT_LIMITS} == dict(DEFAULT_LIMITS)


def test_the_variable_sets_them(monkeypatch):
    monkeypatch.setenv(LIMITS_VARIABLE, " frame_pixels=2e8, open_seconds=inf ,")
    assert limit("frame_pixels") == 2e8
    assert limit("open_seconds") == float("inf")
    assert limit("bad_packets") == DEFAULT_LIMITS["bad_packets"]
    assert "frame_pixels is 200000000;" in how_to_raise("frame_pixels")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame_pixel=1", 'did you mean "frame_pixels"'),
        ("frame_pixels", "expected a number above 0"),
        ("frame_pixels=many", "expected a number above 0"),
        ("frame_pixels=-1", "expected a number above 0"),
        ("frame_pixels=nan", "expected a number above 0"),
    ],
)
def test_what_is_no_limit(monkeypatch, text, message):
    monkeypatch.setenv(LIMITS_VARIABLE, text)
    with pytest.raises(ConfigError, match=message):
        limit("frame_pixels")


def test_the_page_lists_every_limit():
    page = Path(__file__).parents[2] / "docs" / "reliability.md"
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.,]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    stated = {name: float(value.replace(",", "")) for name, value in rows}
    assert stated == dict(DEFAULT_LIMITS)
