"""YAML of unknown origin: bounded, unambiguous, one error with the line, nothing shared."""

import pytest

from paddlevideo.utils.config import apply_override, read_config
from paddlevideo.utils.errors import BundleError, ConfigError
from paddlevideo.utils.limits import LIMITS_VARIABLE
from paddlevideo.utils.safe_yaml import parse_yaml
from paddlevideo.utils.text_files import read_json, read_text


def bomb(levels: int, width: int) -> str:
    """Every level is ``width`` aliases of the one before."""
    lines = ["a0: &a0 [x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 500 + "]" * 500, r"line 1: nested too deep; the limit config_depth is 50"),
        ("a: " + "{b: " * 500 + "}" * 500, "config_depth"),
        ("\n".join(" " * n + "a:" for n in range(500)), r"line 50: nested too deep"),
        (bomb(9, 10), "line .*: too many values, aliases written out; the limit config_nodes"),
        (bomb(60, 1), "nested too deep"),
        ("a: &a {<<: *a}", 'the alias "a" stands within itself'),
        ("a: &a [*a]", 'the alias "a" stands within itself'),
        ("&a {b: {c: *a}}", 'the alias "a" stands within itself'),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a:\n  b: 0x" + "f" * 5000, r"line 2: a whole number outside 64 bits"),
        ("a: 18446744073709551616", "a whole number outside 64 bits"),
        ("a: " + "1:" * 400 + "1.5", "F.*: "),
        ('a: "\\0"', "text with a NUL"),
        ('a: "\\ud800"', "half of a surrogate pair"),
        ('a: "\\UFFFFFFFF"', "F.*not valid YAML"),
        ("1: a", "line 1: the key 1 is no text"),
        ("on: a", 'the key on is no text; write it as "on"'),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
        ("a: !!set {x}", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: !!int ''", "F: not valid YAML"),
        ("a: !!bool x", "F: not valid YAML"),
        ("a: !!int [1]", "F, line 1: not valid YAML"),
        ("<<: 3", "expected a mapping"),
        ("a:\n\t- b", "line 2: not valid YAML"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, "F")
    assert str(caught.value).startswith("F") and len(str(caught.value)) < 500
    with pytest.raises(BundleError):
        parse_yaml(text, "F", BundleError)


def test_an_override_is_read_the_same_way():
    for value in ("[" * 500, "9" * 5000, "&a [*a]", "{a: 1, a: 2}"):
        with pytest.raises(ConfigError, match="-o a"):
            apply_override({}, f"a={value}")


def test_a_limit_can_be_raised(monkeypatch):
    monkeypatch.setenv(LIMITS_VARIABLE, "config_depth=200")
    assert parse_yaml("[" * 150 + "]" * 150, "F")
    monkeypatch.setenv(LIMITS_VARIABLE, "config_depth=1000000")
    with pytest.raises(ConfigError, match="nested deeper than can be read"):
        parse_yaml("[" * 5000 + "]" * 5000, "F")


def test_every_alias_and_merge_is_a_copy():
    data = parse_yaml("a: &a {x: {y: 1}}\nb: *a\nc: {<<: *a}\nd: [*a, *a]", "F")
    data["b"]["x"]["y"] = 2
    assert data == {
        "a": {"x": {"y": 1}},
        "b": {"x": {"y": 2}},
        "c": {"x": {"y": 1}},
        "d": [{"x": {"y": 1}}, {"x": {"y": 1}}],
    }


def test_a_merge_into_a_merged_mapping_is_no_key_given_twice():
    text = "x: {y: {z: &a {<<: {k: 1, l: 3}, k: 2}}}\nb: {<<: *a, l: 4}"
    assert parse_yaml(text, "F")["b"] == {"k": 2, "l": 4}


@pytest.mark.parametrize("key", ["k", "a longer key"])
def test_merge_order(key):
    text = f"a: {{<<: [{{{key}: 1}}, {{{key}: 2}}]}}\nb: {{{key}: 3, <<: {{{key}: 4, z: 5}}}}"
    assert parse_yaml(text, "F") == {"a": {key: 1}, "b": {key: 3, "z": 5}}


def test_overriding_one_split_leaves_the_other(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "DATASET: {valid: &eval {root: x}, test: *eval}\nP: {valid: &p [{S: {n: 1}}], test: *p}\n"
    )
    path = tmp_path / "config.yaml"
    path.write_text("_base_: base.yaml\n")
    config = read_config(path, ["DATASET.valid.root=V", "DATASET.test.root=T", "P.test.0.S.n=2"])
    assert config["DATASET"] == {"valid": {"root": "V"}, "test": {"root": "T"}}
    assert config["P"] == {"valid": [{"S": {"n": 1}}], "test": [{"S": {"n": 2}}]}


def test_text_files(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert read_text(path, "x") == "a\nb\nc"
    path.write_bytes(b"ok\n\xff")
    with pytest.raises(BundleError, match=r"x cannot be read: not UTF-8 text \(line 2\)"):
        read_text(path, "x", BundleError)
    monkeypatch.setenv(LIMITS_VARIABLE, "config_bytes=3")
    with pytest.raises(ConfigError, match="too large; the limit config_bytes is 3"):
        read_text(path, "x")
    for name in (tmp_path, tmp_path / "none", "a\0", "/dev/zero", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match="x cannot be read: "):
            read_text(name, "x")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000])
def test_json_that_is_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match="x is not valid JSON"):
        read_json(tmp_path / "a.json", "x")
