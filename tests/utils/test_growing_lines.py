"""Lines that another process adds, also to a file that it replaces."""

import json

from paddlevideo.utils.growing_lines import GrowingLines


def test_lines_as_they_come(tmp_path):
    path = tmp_path / "m.jsonl"
    lines = GrowingLines(path)
    assert lines.new() == []
    path.write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert lines.new() == [{"a": 1}, {"a": 2}]
    assert lines.new() == []
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 3}\nno line\n[4]\n{"a": 5}\n')  # half a line, mended
    assert lines.new() == [{"a": 3}, {"a": 5}]


def test_a_file_that_is_replaced(tmp_path):
    path, other = tmp_path / "m.jsonl", tmp_path / "new"
    path.write_text("".join(json.dumps({"a": n}) + "\n" for n in range(5)))
    lines = GrowingLines(path, from_now=True)
    assert lines.new() == []
    other.write_text('{"a": 0}\n{"b": 1}\n')
    other.replace(path)
    assert lines.new() == [{"a": 0}, {"b": 1}]
