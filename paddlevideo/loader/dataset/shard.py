"""`ShardDataset`: videos in tar shards, read in place and nearly in order."""

import fnmatch
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pydantic

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.loader.dataset.class_folders import check_same_numbers, stated_class_names
from paddlevideo.loader.shards.index import INDEX_NAME, Shard, read_index
from paddlevideo.loader.shards.member import OpenShards, ShardMember
from paddlevideo.loader.shards.order import shard_order
from paddlevideo.loader.shards.scan import SCANNED_NAME, scanned_shards
from paddlevideo.utils.errors import ArgumentError, DataError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.video.media import Media
from paddlevideo.video.sample import Record

logger = logging.getLogger(__name__)

Reach = Annotated[int, pydantic.Field(ge=1, le=100_000_000)]


@DATASETS.register
class ShardDataset(ClipDataset):
    """Videos in tar shards: those of ``paddlevideo shard``, or others of the same form.

    With ``shards.json`` in the folder, that says what is where. Without, the headers of the tars
    are read once (`scan`). In a shuffled epoch the shards come in a drawn order, and each sample
    fewer than ``shuffle_buffer`` places from its place in them (`order`). A video is read where it
    lies, as a whole up to 16 MiB; nothing is unpacked.

    Args:
        root: folder with the tars.
        shards: pattern of the names of those that are read, such as ``train-*.tar``.
        shuffle_buffer: how far samples are mixed, in samples; 1 mixes the shards alone.
        num_retries: in training, how many others are tried in place of an unreadable video,
            at most; by default all, up to 1000.

    Raises:
        DataError: no such folder, no shards, a shard that is damaged, or an index that contradicts
            itself or the shards.
        ArgumentError: ``shards`` is no pattern of names.
    """

    def __init__(
        self,
        root: str,
        context: ReadingContext,
        shards: str = "*.tar",
        shuffle_buffer: Reach = 1000,
        num_retries: int | None = None,
    ) -> None:
        if "/" in shards or not shards.endswith(".tar"):
            raise ArgumentError(
                f'shards is "{shards}", expected a pattern of names, as train-*.tar'
            )
        folder = Path(root)
        index_name, self._shards = _shards_of(folder, shards)
        self.shuffle_buffer = shuffle_buffer
        self._opened = OpenShards(folder, self._shards)
        counts = [len(shard) for shard in self._shards]
        self._shard_of: np.ndarray = np.repeat(np.arange(len(counts)), counts)
        self._place_of: np.ndarray = np.concatenate([np.arange(count) for count in counts])
        where = f"{folder / index_name}: "
        records = [
            Record(f"{folder / shard.file}/{member}", label, where + name)
            for shard in self._shards
            for member, label, name in zip(shard.members, shard.labels, shard.names, strict=True)
        ]
        super().__init__(records, root, context, num_retries)
        stated = stated_class_names(folder)
        self.class_names = None if stated is None else stated[0]
        if stated is not None and context.class_names is not None:
            source = context.class_names_source
            check_same_numbers(stated[0], str(stated[1]), list(context.class_names), source)

    @classmethod
    def recorded_names(cls, node: ReadNode) -> tuple[list[str], Path] | None:
        """Those of ``classes.txt`` in the folder, or in the one above."""
        folder = Path(node["root"])
        return stated_class_names(folder) if folder.is_dir() else None

    def order(self, rng: np.random.Generator, drawn: np.ndarray | None = None) -> np.ndarray:
        """See `ClipDataset`; nearly that of the shards."""
        return shard_order(self._shard_of, self.shuffle_buffer, rng, drawn)

    def keep(self, indices: Sequence[int]) -> None:
        """See `ClipDataset`."""
        super().keep(indices)
        kept = sorted(indices)
        self._shard_of, self._place_of = self._shard_of[kept], self._place_of[kept]

    def media_of(self, index: int) -> Media:
        """See `ClipDataset`."""
        number = int(self._shard_of[index])
        return ShardMember(self._opened, number, self._shards[number], int(self._place_of[index]))

    def is_there(self, record: Record) -> bool:
        """The shards were looked at when the data set was built."""
        return True


def _shards_of(folder: Path, pattern: str) -> tuple[str, list[Shard]]:
    """Name of what says what is in the shards, and the shards."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of shards")
    try:
        there = sorted(path.name for path in folder.iterdir() if path.suffix == ".tar")
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    wanted = [name for name in there if fnmatch.fnmatchcase(name, pattern) and name[0] != "."]
    index = folder / INDEX_NAME
    if not index.exists():
        if not wanted:
            held = f" ({len(there)} others)" if there else ""
            raise DataError(f"{folder}: holds no shards {pattern}{held}")
        return SCANNED_NAME, scanned_shards(folder, wanted)
    shards = [each for each in read_index(index) if fnmatch.fnmatchcase(each.file, pattern)]
    if not shards:
        raise DataError(f"{index}: lists no shards {pattern}")
    unlisted = sorted(set(wanted) - {shard.file for shard in shards})
    if unlisted:
        raise DataError(
            f"{index}: does not list {unlisted[0]}, which lies beside it; remove the one that does "
            f"not belong there ({len(unlisted)} in all)"
        )
    for shard in shards:
        _check_size(folder / shard.file, shard, index)
    return INDEX_NAME, shards


def _check_size(path: Path, shard: Shard, index: Path) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}, and {index} lists it; restore it") from None
    if found != shard.num_bytes:
        raise DataError(
            f"{path}: has {found} bytes, and {shard.num_bytes} by {index}; it is cut off or was "
            "changed: restore it, or make the index again"
        )
