"""Hostile tars and indexes: one of our errors each, nothing written, no memory, no wait."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from loader.shards.conftest import dataset_of, written
from video.conftest import write_video

from paddlevideo.loader.shards.scan import scan_shard
from paddlevideo.utils.errors import DataError
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def extended(kind: bytes, content: bytes) -> bytes:
    return header("x", len(content), kind) + content + bytes(-len(content) % 512)


def pax(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body) + 3))
    return extended(tarfile.XHDTYPE, f"{length}".encode() + body)


GOOD = header("0.mp4", 4) + b"mpeg" + bytes(508) + header("0.cls", 1) + b"1" + bytes(511)
END = bytes(1024)
NEGATIVE = bytearray(header("0.mp4"))
NEGATIVE[124:136] = b"\xff" * 12
NEGATIVE[148:156] = b"%06o\0 " % (sum(NEGATIVE[:148]) + 8 * 32 + sum(NEGATIVE[156:512]))

HOSTILE = {
    "parent": (header("../0.mp4", 4), "leads elsewhere"),
    "deeper parent": (header("a/../../0.mp4", 4), "leads elsewhere"),
    "backslash": (header("..\\0.mp4", 4), "leads elsewhere"),
    "parent in a long name": (pax("path", "../0.mp4") + header("0.mp4", 4), "leads elsewhere"),
    "absolute": (extended(b"L", b"/etc/passwd\0") + header("0.mp4", 4), "leads elsewhere"),
    "link": (header("0.mp4", 0, tarfile.LNKTYPE, "/etc/passwd"), "is a link"),
    "symbolic link": (header("0.mp4", 0, tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
    "device": (header("0.mp4", 0, tarfile.CHRTYPE), "is a device"),
    "pipe": (header("0.mp4", 0, tarfile.FIFOTYPE), "is a pipe"),
    "unknown": (header("0.mp4", 0, b"Q"), "of an unknown type"),
    "huge": (header("0.mp4", 10**15), "bytes by its header, and the file ends"),
    "huge by pax": (pax("size", "9" * 17) + header("0.mp4"), "bytes by its header"),
    "no size by pax": (pax("size", "-5") + header("0.mp4"), "has a size that is none"),
    "digits by pax": (pax("size", "9" * 3000) + header("0.mp4"), "has a size that is none"),
    "negative": (bytes(NEGATIVE), "has a size that is none"),
    "huge extension": (header("x", 10**9, tarfile.XHDTYPE), "a header of 1000000000 bytes"),
    "sparse": (pax("GNU.sparse.major", "1") + header("0.mp4"), "is sparse"),
    "damaged pax": (extended(tarfile.XHDTYPE, b"99 path=x\n") + header("0.mp4"), "is damaged"),
    "twice": (GOOD + GOOD, "is in it twice"),
    "garbage behind": (GOOD + b"\x07" * 512, "no header of a tar"),
    "no end": (GOOD, "the tar is cut off"),
    "half a header": (GOOD + header("1.mp4")[:300], "the tar is cut off"),
    "no name": (header("./"), "a member without a name"),
    "control": (header("a\nb\x01.mp4"), "has a control character"),
    "long": (extended(b"L", b"x" * 300 + b".mp4\0") + header("0.mp4"), "is too long"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members(tmp_path, case):
    content, message = HOSTILE[case]
    is_cut = case in ("no end", "half a header")
    (tmp_path / "a.tar").write_bytes(content + (b"" if is_cut else END))
    with pytest.raises(DataError, match=message) as caught:
        dataset_of(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_a_tower_of_extensions_ends(tmp_path):
    tower = extended(tarfile.XGLTYPE, b"x") * 20_000
    (tmp_path / "a.tar").write_bytes(tower + GOOD + END)
    assert len(scan_shard(tmp_path / "a.tar")) == 1


def checks(folder: Path, file: str) -> Callable[[bytes], object]:
    """Open a folder of shards with one file replaced, and read all of it."""

    def check(data: bytes) -> object:
        (folder / file).write_bytes(data)
        dataset = dataset_of(folder)
        told = []
        for index in range(len(dataset)):
            try:
                told.append(dataset[0, index].clip.shape)
            except DataError as error:
                told.append(str(error))
        return told

    return check


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        write_video(tmp_path / f"v{number}.mp4", 4)
    (tmp_path / "a.list").write_text("".join(f"v{i}.mp4 {i}\n" for i in range(3)))
    written(tmp_path / "a.list", tmp_path / "shards", name="a", most_samples=3)
    return tmp_path / "shards"


@pytest.mark.parametrize("count", [60, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", ["shards.json", "a-000000.tar"])
@pytest.mark.parametrize("has_index", [True, False])
def test_mutated_shards(folder, file, has_index, count):
    data = (folder / file).read_bytes()
    if not has_index:
        if file == "shards.json":
            pytest.skip("there is none to change")
        (folder / "shards.json").unlink()
    before = set(folder.iterdir())
    cases = list(mutants(data, count, 21, False))
    results = outcomes(checks(folder, file), [mutant for _, mutant in cases])
    assert not failures(results, [label for label, _ in cases])
    assert {path.name for path in set(folder.iterdir()) - before} <= {".shards.scanned.json"}


def test_a_tar_within_a_tar_is_no_video(tmp_path):
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../x.mp4"))
    content = inner.getvalue()
    (tmp_path / "a.tar").write_bytes(
        header("0.mp4", len(content)) + content + header("0.json", 12)
        + json.dumps({"label": 1}).encode() + bytes(500) + END
    )  # fmt: skip
    with pytest.raises(DataError, match="not a readable video"):
        dataset_of(tmp_path)[0, 0]
