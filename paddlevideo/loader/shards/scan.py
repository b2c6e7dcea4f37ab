"""`scanned_shards`: the samples of shards that were made elsewhere, by one look at their headers.

Members whose names agree up to the first dot behind the last slash are one sample, as in the
package ``webdataset``: one video, and its label in ``KEY.cls`` (a whole number) or ``KEY.json``
(``{"label": 7, ...}``). What was found is kept, so that it is done once.
"""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from paddlevideo.loader.shards.index import (
    LARGEST_LABEL,
    NO_TEXT,
    Shard,
    read_index,
    write_index,
)
from paddlevideo.loader.shards.tar_members import TarMember, tar_members
from paddlevideo.utils.cache_home import home
from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.progress import track
from paddlevideo.video.video_files import VIDEO_EXTENSIONS, is_hidden

logger = logging.getLogger(__name__)

SCANNED_NAME = ".shards.scanned.json"


def scanned_shards(folder: Path, files: Sequence[str]) -> list[Shard]:
    """Return what is in the shards, from what was kept of those that have not changed since.

    Kept beside them or, where that cannot be written, in the cache (``PADDLEVIDEO_HOME``).

    Raises:
        DataError: a shard cannot be read, or is not one.
    """
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    places = (folder / SCANNED_NAME, home() / "shards" / f"{name[:32]}.json")
    known = _kept(places)
    shards: dict[str, Shard] = {}
    for file in files:
        status = _status(folder / file)
        shard = known.get(file)
        if shard and (shard.num_bytes, shard.changed_ns) == (status.st_size, status.st_mtime_ns):
            shards[file] = shard
    missing = [file for file in files if file not in shards]
    if missing:
        for file in track(missing, len(missing), f"scan {folder}"):
            shards[file] = scan_shard(folder / file)
        _keep(places, [*shards.values(), *(known[file] for file in known if file not in shards)])
    return [shards[file] for file in files]


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _kept(places: Sequence[Path]) -> dict[str, Shard]:
    for place in places:
        if place.is_file():
            try:
                return {shard.file: shard for shard in read_index(place)}
            except DataError as error:
                logger.warning("%s; the shards are scanned anew", error)
    return {}


def _keep(places: Sequence[Path], shards: Sequence[Shard]) -> None:
    for place in places:
        try:
            write_index(place, shards)
        except OSError as error:
            logger.info("%s cannot be written: %s", place, error.strerror)
        else:
            return
    logger.warning("%s: what was found cannot be kept; each start scans it anew", places[0].parent)


def scan_shard(path: Path) -> Shard:
    """Return the samples of a tar.

    Raises:
        DataError: it cannot be read, is damaged, or has a sample without a video or a label.
    """
    status = _status(path)
    shard = Shard(path.name, status.st_size, changed_ns=status.st_mtime_ns)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for key, sample in _samples(handle, str(path)).items():
                _add(shard, sample, handle, f"{path}/{key}")
        finally:
            os.close(handle)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not shard.members:
        raise DataError(f"{path}: holds no videos")
    return shard


class _Members(NamedTuple):
    videos: list[TarMember]
    others: dict[str, TarMember]


def _samples(handle: int, name: str) -> dict[str, _Members]:
    """The members by their keys, in the order of their first ones."""
    samples: dict[str, _Members] = {}
    for member in tar_members(handle, name):
        path = PurePosixPath(member.name)
        if is_hidden(path.name):
            continue
        stem, _, ending = path.name.partition(".")
        sample = samples.setdefault(str(path.with_name(stem)), _Members([], {}))
        if ending.rpartition(".")[2].lower() in VIDEO_EXTENSIONS:
            sample.videos.append(member)
        else:
            sample.others[ending.lower()] = member
    return samples


def _add(shard: Shard, sample: _Members, handle: int, where: str) -> None:
    if len(sample.videos) != 1:
        what = f"{len(sample.videos)} videos" if sample.videos else "no video"
        raise DataError(f"{where}: the sample has {what}, expected one (KEY.mp4) and its label")
    label, name = _label(sample.others, handle, where)
    video = sample.videos[0]
    shard.add(video, label, name or video.name)


def _label(others: dict[str, TarMember], handle: int, where: str) -> tuple[int, str]:
    """The class number, and what the video was called before, if that is said."""
    if "cls" not in others and "json" not in others:
        raise DataError(
            f"{where}: has no label; expected KEY.cls with a whole number, or KEY.json with "
            '{"label": 7}'
        )
    member = others.get("json") or others["cls"]
    if member.num_bytes > limit("config_bytes"):
        raise DataError(f"{where}: {member.name} is too large; {how_to_raise('config_bytes')}")
    text = os.pread(handle, member.num_bytes, member.offset)
    label: object = None
    name: object = ""
    try:
        if "json" not in others:
            label = int(text[:20])
        else:
            content = json.loads(text)
            label, name = content["label"], content.get("name")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        label = None
    if type(label) is not int or abs(label) >= LARGEST_LABEL:
        raise DataError(
            f"{where}: {shown(member.name)} gives no label; expected a whole number"
            + (' under "label"' if "json" in others else "")
        )
    return label, name if isinstance(name, str) and not NO_TEXT.search(name) else ""
