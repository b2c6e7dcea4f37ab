"""Modules that a config names: found on the path or in the working folder, errors with their place.

Commands that import them: tests/second_family/.
"""

import sys

import pytest

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.user_modules import import_modules


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder; path and modules are as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_module_of_the_working_folder(folder):
    (folder / "users_own").mkdir()
    (folder / "users_own" / "model.py").write_text("VALUE = 3\n", encoding="utf-8")
    import_modules(["users_own.model"])
    assert sys.modules["users_own.model"].VALUE == 3
    import_modules(["users_own.model"])
    assert sys.path.count(str(folder)) == 1


def test_an_installed_package_comes_first(folder):
    (folder / "colorsys.py").write_text("raise AssertionError\n", encoding="utf-8")
    sys.modules.pop("colorsys", None)
    import_modules(["colorsys"])
    assert sys.modules["colorsys"].rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_nothing_is_named(folder):
    import_modules(None)
    import_modules([])
    assert str(folder) not in sys.path


@pytest.mark.parametrize(
    "names", ["os", {"os": 1}, [3], [""], ["a..b"], [".a"], ["a b"], ["a/b.py"]]
)
def test_these_are_no_modules(names):
    with pytest.raises(ConfigError, match=r"imports: expected a list of modules such as \[my_"):
        import_modules(names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_to_be_found\n", "No module named 'nowhere_to_be_found'"),
        ("from json import nothing_of_it\n", "cannot import name 'nothing_of_it'"),
        ("def f(:\n", r"invalid syntax \(broken_one.py, line 1\)"),
    ],
)
def test_a_module_that_cannot_be_imported(folder, text, said):
    (folder / "broken_one.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"imports\[1\]: broken_one cannot be imported: {said}"):
        import_modules(["json", "broken_one"])


def test_an_error_of_the_module_itself_is_shown_as_it_is(folder):
    (folder / "raising_one.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        import_modules(["raising_one"])
