"""What goes into shards: the samples of a list, a folder of classes or a split of a config."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.loader.dataset.class_folders import class_folders_of, class_names_of
from paddlevideo.loader.dataset.folder import find_records
from paddlevideo.loader.dataset.list_files import read_list
from paddlevideo.utils.errors import DataError
from paddlevideo.video.media import FileMedia, Media
from paddlevideo.video.sample import Record
from paddlevideo.video.video_files import VIDEO_EXTENSIONS

_CONTROL = re.compile("[\x00-\x1f]")


@dataclass(frozen=True)
class ShardSample:
    """A video on its way into a shard.

    Attributes:
        media: its bytes.
        ending: of its name in the shard, such as ``mp4``.
        label: class number.
        name: what it was called, below the folder of all of them; for people.
    """

    media: Media
    ending: str
    label: int
    name: str


@dataclass(frozen=True)
class ShardSource:
    """What shards are made of.

    Attributes:
        title: where it comes from.
        samples: in its order.
        class_names: in label order; None where nothing names them.
    """

    title: str
    samples: Sequence[ShardSample]
    class_names: Sequence[str] | None = None


def of_list(file: Path, prefix: str | None) -> ShardSource:
    """The videos of a list with lines ``path label``.

    Args:
        file: the list.
        prefix: folder in front of its paths.

    Raises:
        DataError: it cannot be read, or lists what is no video.
    """
    records = read_list(file, prefix)
    return ShardSource(str(file), _of_records(records, prefix or str(file.parent)))


def of_folder(root: Path) -> ShardSource:
    """The videos of a folder of class folders, numbered as `FolderDataset` numbers them.

    Raises:
        DataError: it has no class folders or no videos.
    """
    names = class_names_of(root)
    endings = {f".{ending}" for ending in VIDEO_EXTENSIONS}
    records = find_records(root, class_folders_of(root), names, endings)
    return ShardSource(str(root), _of_records(records, str(root)), names)


def of_dataset(title: str, dataset: ClipDataset, class_names: Sequence[str] | None) -> ShardSource:
    """The videos of a data set, which may itself be of shards.

    Raises:
        DataError: its samples are folders of frames.
    """
    if dataset.kind != "video":
        raise DataError(
            f"{title}: its samples are folders of frames, and shards hold videos; name a data set "
            "of the videos"
        )
    media = [dataset.media_of(index) for index in range(len(dataset))]
    source = Path(dataset.source)
    root = source if source.is_dir() else source.parent
    return ShardSource(title, _of_records(dataset.records, str(root), media), class_names)


def _of_records(
    records: Sequence[Record], root: str, media: Sequence[Media | None] | None = None
) -> list[ShardSample]:
    samples = []
    for index, record in enumerate(records):
        path = PurePath(record.path)
        ending = path.suffix.lower().lstrip(".")
        if ending not in VIDEO_EXTENSIONS:
            raise DataError(
                f"{record.where}: {record.path} does not end as a video does (.mp4, .avi, ...), by "
                "which a shard tells videos from labels"
            )
        own = media[index] if media is not None else None
        name = _told_name(path, root)
        samples.append(ShardSample(own or FileMedia(record.path), ending, record.label, name))
    return samples


def _told_name(path: PurePath, root: str) -> str:
    """The path below a folder, or the last part of it; never where it lies on this machine."""
    try:
        name = path.relative_to(root).as_posix()
    except ValueError:
        name = path.name
    if (path.is_absolute() and PurePath(name).is_absolute()) or ".." in name.split("/"):
        name = path.name
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
