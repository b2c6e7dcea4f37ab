"""`ShardIndex`: which samples a folder of shards holds, and at which bytes; the file `INDEX_NAME`.

::

    {"format": "paddlevideo shards", "version": 1, "samples": 1234, "shards": [
     {"file": "train-000000.tar", "bytes": 104867840, "changed": null,
      "member": ["000000000.mp4", ...], "offset": [512, ...], "size": [90210, ...],
      "label": [7, ...], "name": ["archery/v_1.mp4", ...], "sha256": ["9f86...", ...]},
     ...]}

One list for each column, an entry for each sample of the shard, in the order of the offsets.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, cast

from paddlevideo.loader.shards.tar_members import BLOCK_BYTES, TarMember
from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.files import write_text
from paddlevideo.utils.text_files import read_json

INDEX_NAME = "shards.json"
_FORMAT, _VERSION = "paddlevideo shards", 1
LARGEST_LABEL = 2**31
_LARGEST = 2**62
_DIGEST = re.compile(r"[0-9a-f]{64}|", re.ASCII)
NO_TEXT = re.compile("[\x00-\x1f\ud800-\udfff]")
_Columns = tuple[list[str], list[int], list[int], list[int], list[str], list[str]]
_COLUMNS = ("member", "offset", "size", "label", "name", "sha256")


@dataclass
class Shard:
    """One tar and its samples, in the order of their offsets.

    Attributes:
        file: its name in the folder.
        num_bytes: its size.
        members: names of the videos in it.
        offsets: of their first bytes in the tar.
        sizes: of the videos in bytes.
        labels: class numbers.
        names: what each was called before it came into the shard; for people.
        digests: SHA-256 of each video, hexadecimal; empty where it was never read.
        changed_ns: when the tar changed last, of one that was made elsewhere; None: not recorded.
    """

    file: str
    num_bytes: int = 0
    members: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    changed_ns: int | None = None

    def __len__(self) -> int:
        return len(self.members)

    def add(self, video: TarMember, label: int, name: str, digest: str = "") -> None:
        """Add a sample behind the others."""
        self.members.append(video.name)
        self.offsets.append(video.offset)
        self.sizes.append(video.num_bytes)
        self.labels.append(label)
        self.names.append(name)
        self.digests.append(digest)

    def columns(self) -> _Columns:
        """Its lists, in the order of the file."""
        return self.members, self.offsets, self.sizes, self.labels, self.names, self.digests

    def as_dict(self) -> dict[str, object]:
        """As the file has it."""
        head = {"file": self.file, "bytes": self.num_bytes, "changed": self.changed_ns}
        return {**head, **dict(zip(_COLUMNS, self.columns(), strict=True))}


def write_index(path: Path, shards: Sequence[Shard], made_from: str = "") -> None:
    """Write an index atomically, a line for each shard.

    Args:
        made_from: a digest of what the shards were made of, for who makes them again.
    """
    head = {"format": _FORMAT, "version": _VERSION, "samples": sum(map(len, shards))}
    if made_from:
        head["made_from"] = made_from
    lines = ",\n".join(json.dumps(shard.as_dict(), ensure_ascii=False) for shard in shards)
    write_text(path, f'{json.dumps(head)[:-1]}, "shards": [\n{lines}\n]}}\n')


def read_index(path: Path) -> list[Shard]:
    """Read an index and hold it against itself; no shard is opened.

    Raises:
        DataError: it cannot be read, or contradicts itself.
    """
    content = read_json(path, f"index {path}", DataError, "shard_index_bytes")
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataError(f"{path}: is no index of shards; delete it, and the shards are scanned")
    if content.get("version") != _VERSION:
        raise DataError(f"{path}: an index of version {shown(content.get('version'))}, not 1")
    listed = content.get("shards")
    if not isinstance(listed, list) or not listed:
        raise DataError(f"{path}: lists no shards")
    shards = [parse_shard(each, f"{path}: shard {number}") for number, each in enumerate(listed)]
    files = [shard.file for shard in shards]
    repeated = [file for file, count in Counter(files).items() if count > 1]
    if repeated:
        raise DataError(f"{path}: lists {shown(repeated[0])} twice")
    if content.get("samples") != sum(map(len, shards)):
        raise DataError(
            f"{path}: says that there are {shown(content.get('samples'))} samples, and lists "
            f"{sum(map(len, shards))}"
        )
    return shards


def parse_shard(content: object, where: str) -> Shard:
    """Return an entry of an index.

    Args:
        content: as `Shard.as_dict`.
        where: for messages.

    Raises:
        DataError: it has another form, or contradicts itself.
    """

    def refuse(what: str) -> NoReturn:
        raise DataError(f"{where}: {what}; delete the index, or make the shards again")

    if not isinstance(content, dict):
        refuse("is no mapping")
    file, num_bytes = content.get("file"), content.get("bytes")
    if not isinstance(file, str) or not is_plain_name(file):
        refuse(f"{shown(file)} is no name of a tar in the same folder")
    if not _is_int(num_bytes):
        refuse(f"bytes is {shown(num_bytes)}")
    columns = [content.get(column) for column in _COLUMNS]
    for name, column in zip(_COLUMNS, columns, strict=True):
        if not isinstance(column, list) or len(column) != len(columns[0] or ()):
            refuse(f"{name} is no list with an entry for each sample")
    lists = cast(_Columns, columns)  # what is in them is looked at below
    shard = Shard(file, cast(int, num_bytes), *lists)
    changed = content.get("changed")
    if changed is not None:
        if not _is_int(changed):
            refuse(f"changed is {shown(changed)}")
        shard.changed_ns = changed
    what = _contradiction(shard)
    if what:
        refuse(what)
    return shard


def is_plain_name(name: str) -> bool:
    """Whether it is the name of a tar in the folder itself."""
    return (
        name.endswith(".tar") and "/" not in name and "\\" not in name and not NO_TEXT.search(name)
    )


def _is_int(value: object) -> bool:
    return type(value) is int and 0 <= value < _LARGEST


def _contradiction(shard: Shard) -> str:
    """What cannot be about its columns; empty if all can."""
    if len(set(map(str, shard.members))) < len(shard):
        return "a member is listed twice"
    end = 0
    for member, offset, size, label, name, digest in zip(*shard.columns(), strict=True):
        if not all(isinstance(text, str) for text in (member, name, digest)):
            return f"{shown(member)}: its name or digest is no text"
        if NO_TEXT.search(member) or not member or NO_TEXT.search(name):
            return f"{shown(member)}: its name has a control character, or there is none"
        if not _is_int(offset) or not _is_int(size) or offset % BLOCK_BYTES:
            return f"{shown(member)}: offset {shown(offset)} and size {shown(size)} cannot be"
        if offset < end + BLOCK_BYTES or offset + size > shard.num_bytes:
            return f"{shown(member)}: its bytes are another's, or lie behind the end of the tar"
        if type(label) is not int or abs(label) >= LARGEST_LABEL:
            return f"{shown(member)}: its label is {shown(label)}"
        if not _DIGEST.fullmatch(digest):
            return f"{shown(member)}: its sha256 is {shown(digest)}"
        end = offset + size
    return ""
