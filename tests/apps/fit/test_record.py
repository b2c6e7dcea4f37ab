"""A second call goes on with the run that it began, and with no other."""

import pytest

from paddlevideo.apps.fit.record import CHECKED, DONE, PLANNED, open_record
from paddlevideo.utils.errors import ConfigError

ASKED = {"videos": "/x", "seed": 0, "epochs": None}


def test_phases(tmp_path):
    record = open_record(tmp_path / "run", ASKED)
    assert not record.has(CHECKED)
    record.reach(CHECKED, counts={"train": 3})
    again = open_record(tmp_path / "run", ASKED)
    assert again.has(CHECKED) and not again.has(PLANNED) and again.facts["counts"] == {"train": 3}
    again.reach(DONE)
    assert open_record(tmp_path / "run", ASKED).has(PLANNED)


def test_another_fit_in_the_same_folder(tmp_path):
    open_record(tmp_path / "run", ASKED).reach(CHECKED)
    with pytest.raises(ConfigError, match=r"holds a fit with another seed \(0, now 1\).*--output"):
        open_record(tmp_path / "run", {**ASKED, "seed": 1})


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    with pytest.raises(ConfigError, match="is not empty and holds no fit"):
        open_record(tmp_path / "run", ASKED)
    (tmp_path / "run" / "fit.json").write_text("[1]")
    with pytest.raises(ConfigError, match="is not the record of a fit"):
        open_record(tmp_path / "run", ASKED)
