"""Config files: bases, merging, overrides; nothing in them is ever evaluated."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.utils.config import (
    apply_override,
    merge,
    parse_yaml,
    read_config,
    to_yaml,
    unknown_key,
)
from paddlevideo.utils.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def test_bases_in_order_and_relative_to_their_file(write, tmp_path, monkeypatch):
    write("base/one.yaml", "a: 1\nb: {x: 1, y: 1}\n")
    write("base/two.yaml", "_base_: deep/three.yaml\nb: {y: 2}\n")
    write("base/deep/three.yaml", "a: 3\nb: {z: 3}\n")
    path = write("run/config.yaml", "_base_: [../base/one.yaml, ../base/two.yaml]\nb: {x: 9}\n")
    monkeypatch.chdir(tmp_path / "base")  # the working directory does not matter
    assert read_config(path) == {"a": 3, "b": {"x": 9, "y": 2, "z": 3}}


def test_one_base_used_twice_is_no_cycle(write):
    write("root.yaml", "a: 1")
    write("left.yaml", "_base_: root.yaml\nl: 1")
    write("right.yaml", "_base_: root.yaml\nr: 1")
    path = write("config.yaml", "_base_: [left.yaml, right.yaml]")
    assert read_config(path) == {"a": 1, "l": 1, "r": 1}


def test_cycle(write):
    write("one.yaml", "_base_: two.yaml")
    path = write("two.yaml", "_base_: one.yaml")
    with pytest.raises(ConfigError, match=r"_base_ refers back to itself: .*two.yaml -> .*one"):
        read_config(path)
    with pytest.raises(ConfigError, match=r"_base_ refers back to itself"):
        read_config(write("self.yaml", "_base_: self.yaml"))


def test_missing_files(write, tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml cannot be read: No such file"):
        read_config(tmp_path / "none.yaml")
    path = write("config.yaml", "_base_: sub/none.yaml")
    with pytest.raises(ConfigError, match=r"sub/none.yaml \(named as _base_ in .*config.yaml\)"):
        read_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize("bases", ["3", "", "{a: b}", "[a.yaml, 3]"])
def test_wrong_bases(write, bases):
    with pytest.raises(ConfigError, match=r"_base_ is .*; expected a path or a list of paths"):
        read_config(write("config.yaml", f"_base_: {bases}"))


@pytest.mark.parametrize("text", ["", "[1, 2]", "words", "# nothing"])
def test_no_mapping(write, text):
    with pytest.raises(ConfigError, match="expected a mapping of sections"):
        read_config(write("config.yaml", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1, c: 2}", r'F, line 2: key "c" is given twice'),
        ("a: 1\n\na: 1", r'F, line 3: key "a" is given twice'),
        ("a: [1, 2", r"F, line 1: not valid YAML"),
        ("a: *other", "undefined alias"),
        ("a: 1\n---\nb: 1", "another document"),
        ("? [1]\n: 2", "unhashable key"),
        ("a: \x00", "F: not valid YAML"),
        ("a: 2024-13-45", "F: not valid YAML: month must be in 1..12"),
        ("a: !!float x", "F: not valid YAML"),
        ("a: !!timestamp x", "F: not valid YAML"),
    ],
)
def test_not_valid_yaml(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, "F")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E5", -2e5),
        ("+1.e+2", 100.0),
        ("0.00003", 3e-5),
        ("1e", "1e"),
        ("e1", "e1"),
        ("1e4x", "1e4x"),
        ("192", 192),
        ("false", False),
        ("A0", "A0"),
        ("'1e-4'", "1e-4"),
        ("img_{:05}.jpg", "img_{:05}.jpg"),
    ],
)
def test_scalars(text, value):
    read = parse_yaml(text, "F")
    assert read == value and type(read) is type(value)


def test_anchors_and_merge_keys():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a"
    assert parse_yaml(text, "F") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }


# Merging


def test_another_component_replaces_the_node():
    base = {"O": {"name": "RMSProp", "rho": 0.9, "rate": {"name": "A", "x": 1}}}
    assert merge(base, {"O": {"name": "AdamW"}}) == {"O": {"name": "AdamW"}}
    assert merge(base, {"O": {"rate": {"name": "B"}}})["O"]["rate"] == {"name": "B"}
    assert merge(base, {"O": {"name": "RMSProp", "rho": 1}})["O"]["rho"] == 1
    assert merge(base, {"O": {"rho": 1}})["O"]["rate"] == {"name": "A", "x": 1}
    split = {"train": {"format": "FrameDataset", "suffix": "x"}}
    assert merge(split, {"train": {"format": "V"}}) == {"train": {"format": "V"}}


def test_lists_and_scalars_replace():
    assert merge({"a": [1, 2], "b": {"c": 1}, "d": 1}, {"a": [3], "b": None, "d": {"e": 1}}) == {
        "a": [3],
        "b": None,
        "d": {"e": 1},
    }


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b", "1e-4", "x=y", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "name"]), inner, max_size=3)
    ),
    max_leaves=12,
)
_CONFIGS = st.dictionaries(st.sampled_from(["a", "b", "c", "name"]), _VALUES, max_size=4)


def shares_a_container(one, other) -> bool:
    def containers(value):
        if isinstance(value, (dict, list)):
            yield id(value)
            for item in value.values() if isinstance(value, dict) else value:
                yield from containers(item)

    return bool({*containers(one)} & {*containers(other)})


@settings(deadline=None, max_examples=150)
@given(_CONFIGS, _CONFIGS, _CONFIGS)
def test_merge_properties(one, two, three):
    before = repr((one, two))
    merged = merge(one, two)
    assert repr((one, two)) == before
    assert not shares_a_container(merged, one) and not shares_a_container(merged, two)
    assert merge(one, {}) == one and merge({}, one) == one and merge(one, one) == one
    assert merge(merged, two) == merged
    assert set(merged) == set(one) | set(two)
    for key in two:
        if not isinstance(two[key], dict) or not isinstance(one.get(key), dict):
            assert merged[key] == two[key]
    for key in set(one) - set(two):
        assert merged[key] == one[key]
    disjoint = {f"{key}_": value for key, value in three.items()}
    assert merge(merge(one, two), disjoint) == merge(one, merge(two, disjoint))


@settings(deadline=None, max_examples=100)
@given(_CONFIGS)
def test_to_yaml_round_trip(config):
    text = to_yaml(config)
    assert parse_yaml(text, "F") == config == yaml.safe_load(text)
    assert list(parse_yaml(text, "F")) == list(config)


def test_to_yaml_of_tuples_and_small_numbers():
    config = {"topk": (1, (2, 3)), "decay": 3e-5, "eps": 1e-4, "big": 1e16, "name": "ø"}
    read = parse_yaml(to_yaml(config), "F")
    assert read == {**config, "topk": [1, [2, 3]]}
    assert [type(read[key]) for key in ("decay", "eps", "big")] == [float] * 3


# Overrides


def example() -> dict:
    return {
        "A": {"b": 1, "list": [{"x": 1}, {"x": 2}], "empty": [], "none": None},
        "epochs": 3,
    }


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("epochs=5", ("epochs",), 5),
        ("A.b=null", ("A", "b"), None),
        ("A.b=", ("A", "b"), None),
        ("A.b=[1, a, 1e-4]", ("A", "b"), [1, "a", 1e-4]),
        ("A.b=1e-4", ("A", "b"), 1e-4),
        ("A.b={c: 1}", ("A", "b"), {"c": 1}),
        ("A.b=a=b", ("A", "b"), "a=b"),
        ("A.b='1'", ("A", "b"), "1"),
        ("A.b=true", ("A", "b"), True),
        ("A.list.1.x=7", ("A", "list", 1, "x"), 7),
        ("A.list.0=7", ("A", "list", 0), 7),
        ("A.list.1.y.z=7", ("A", "list", 1, "y", "z"), 7),
        ("N.e.w=7", ("N", "e", "w"), 7),
        ("A.none.x=7", ("A", "none", "x"), 7),
    ],
)
def test_overrides(override, path, value):
    config = example()
    apply_override(config, override)
    node = config
    for part in path:
        node = node[part]
    assert node == value and type(node) is type(value)
    untouched = [key for key in ("A", "epochs") if key != path[0]]
    assert all(config[key] == example()[key] for key in untouched)
    assert config["A"]["empty"] == [] and len(config["A"]["list"]) == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", r'-o epochs: expected "KEY.KEY=VALUE"'),
        ("=3", r"expected \"KEY.KEY=VALUE\""),
        (" =3", r"expected \"KEY.KEY=VALUE\""),
        ("A.list.2.x=1", r"-o A.list.2: expected an index from 0 to 1"),
        ("A.list.2=1", r"-o A.list.2: expected an index from 0 to 1"),
        ("A.list.-1=1", r"expected an index from 0 to 1"),
        ("A.list.x=1", r"expected an index from 0 to 1"),
        ("A.list.²=1", r"expected an index from 0 to 1"),
        ("A.b.c=1", r"-o A.b.c: A.b is 1, which has no keys"),
        ("epochs.x.y=1", r"-o epochs.x.y: epochs is 3, which has no keys"),
        ("A.b=[1", r"-o A.b, line 1: not valid YAML"),
    ],
)
def test_wrong_overrides(override, message):
    config = example()
    with pytest.raises(ConfigError, match=message):
        apply_override(config, override)
    assert config == example()


def test_overrides_in_order(write):
    path = write("config.yaml", "a: {b: 1}")
    assert read_config(path, ["a.b=2", "a={c: 3}", "a.d=4"]) == {"a": {"c": 3, "d": 4}}


@pytest.mark.parametrize(
    "value",
    [
        "__import__('os').system('touch {file}')",
        "(lambda x=0:open('{file}', 'w'))()",
        "${{oc.env:HOME}}",
        "'{{{{ 1 + 1 }}}}'",
    ],
)
def test_a_value_is_text_and_never_code(tmp_path, value):
    file = tmp_path / "F"
    text = value.format(file=file)
    config: dict = {}
    apply_override(config, f"x={text}")
    assert config["x"] == text.strip("'") and not file.exists()


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {file}']",
        "!!python/object/new:os.system ['touch {file}']",
        "!!python/object/apply:builtins.open ['{file}', w]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:os.PathLike {{}}",
        "!custom 1",
    ],
)
def test_tags_are_refused_and_run_nothing(write, tmp_path, tag):
    file = tmp_path / "F"
    text = tag.format(file=file)
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        read_config(write("config.yaml", f"x: {text}"))
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        apply_override({}, f"x={text}")
    assert not file.exists()


def test_unknown_key():
    error = unknown_key("DATASET", "batch_sise", ["batch_size", "train"])
    expected = 'DATASET.batch_sise: unknown key "batch_sise"; did you mean "batch_size"? '
    assert str(error) == expected + "known: batch_size, train"
    assert str(unknown_key("", "x", ["y"])).startswith('x: unknown key "x"')


# Hostile bases and overrides


def test_a_chain_of_bases_is_bounded(write):
    for number in range(1200):
        write(f"c{number}.yaml", f"_base_: c{number + 1}.yaml")
    path = write("c1200.yaml", "a: 1").with_name("c0.yaml")
    with pytest.raises(ConfigError, match="too many files through _base_; the limit config_bases"):
        read_config(path)
    assert read_config(path.with_name("c1150.yaml")) == {"a": 1}


def test_doubled_bases_are_read_once(write):
    for number in range(23):
        write(f"c{number}.yaml", f"_base_: [c{number + 1}.yaml, ./c{number + 1}.yaml]")
    path = write("c23.yaml", "a: {b: 1}").with_name("c0.yaml")
    assert read_config(path) == {"a": {"b": 1}}


@pytest.mark.parametrize("base", ['"a\\0b"', ".", "/dev/zero", "x" * 300, "loop"])
def test_bases_that_are_no_file(write, tmp_path, base):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=r"cannot be read|NUL"):
        read_config(write("config.yaml", f"_base_: {base}"))


@pytest.mark.parametrize(
    "override",
    [
        *("a..b=1", "=", "=1", ".a=1", "a.=1", "a", "s.b=1", "l.2=1", "l.x=1", "l.-1=1", "e.0=1"),
        *(f"l.{'9' * 5000}=1", "a." * 100_000 + "b=1", "l.\u00b2=1"),
    ],
)
def test_overrides_that_fit_nothing(override):
    config = {"s": 1, "l": [1, 2], "e": []}
    with pytest.raises(ConfigError, match="-o ") as caught:
        apply_override(config, override)
    assert len(str(caught.value)) < 500


def leaves(value, path=()):
    if isinstance(value, (dict, list)) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, (*path, str(key)))
    else:
        yield ".".join(path), value


PROJECT_CONFIGS = sorted(Path("configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", PROJECT_CONFIGS, ids=lambda path: path.name)
def test_an_override_changes_one_leaf_alone(path):
    before = read_config(path)
    known = dict(leaves(before))
    for place in known:
        config = copy.deepcopy(before)
        apply_override(config, f"{place}=another")
        assert dict(leaves(config)) == {**known, place: "another"}
    assert not {id(part) for part in containers(before)} & {
        id(part) for part in containers(read_config(path))
    }
    parts = list(containers(before))
    assert len({id(part) for part in parts}) == len(parts)


def containers(value):
    if isinstance(value, (dict, list)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)
