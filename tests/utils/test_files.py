"""Files: the old one or the new one, never half of one."""

import hashlib
import json
import os
import stat

import pytest

from paddlevideo.utils.files import atomic_write, made_folder, sha256_of, write_json, write_text


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    for content in (b"one", b"second"):
        with atomic_write(path) as file:
            file.write(content)
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half of the new")
        file.flush()
        assert path.read_bytes() == b"old"
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(ValueError), atomic_write(tmp_path / "file.bin"):
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    synced = []
    real = os.fsync

    def fsync(handle):
        synced.append((os.fstat(handle).st_size, path.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(path) as file:
        file.write(b"12345")
    assert synced == [(5, False)]


def test_a_new_folder_goes_if_nothing_came_of_it(tmp_path):
    def fail(*files):
        with pytest.raises(KeyError), made_folder(tmp_path / "a" / "b" / "c"):
            for file in files:
                (tmp_path / file).touch()
            raise KeyError

    fail()
    assert list(tmp_path.iterdir()) == []
    fail("a/b/kept")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "kept"]
    with made_folder(tmp_path / "a" / "b" / "c") as folder:
        assert folder.is_dir()
    assert folder.is_dir()
    fail()  # it is no new one
    assert folder.is_dir()


def test_a_name_that_cannot_be_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError), atomic_write(tmp_path / "folder") as file:
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux tells the umask")  # noqa: PTH110
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_text_and_json(tmp_path):
    write_text(tmp_path / "text", "straße\n")
    assert (tmp_path / "text").read_bytes() == "straße\n".encode()
    value = {"b": [1, None], "a": "straße"}
    write_json(tmp_path / "json", value)
    text = (tmp_path / "json").read_text(encoding="utf-8")
    assert json.loads(text) == value and "straße" in text and text.endswith("}\n")
    with pytest.raises(TypeError):
        write_json(tmp_path / "json", {"a": object()})
    assert json.loads((tmp_path / "json").read_text(encoding="utf-8")) == value


def test_sha256(tmp_path):
    content = os.urandom((1 << 20) * 2 + 3)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
