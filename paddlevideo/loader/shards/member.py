"""`ShardMember`: a video that lies in a tar, read in place."""

import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from paddlevideo.loader.shards.index import Shard
from paddlevideo.loader.shards.tar_members import BLOCK_BYTES, parse_header
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.windows import Window
from paddlevideo.video.media import Media, MediaKey

# Up to this size a video is read as a whole, in one request; of larger ones what is asked for.
WHOLE_BYTES = 16 * 2**20
_MOST_OPEN = 8
_TAR_NAME_BYTES = 100  # a longer name stands in a header of its own


class OpenShards:
    """The shards of a folder; those that were read last are open.

    Forked processes may share it: nothing moves the position of a file.

    Args:
        folder: with the tars.
        shards: of its index.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self._folder = folder
        self._shards = shards
        self._handles: OrderedDict[int, int] = OrderedDict()
        self._verified: set[tuple[int, int]] = set()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_handles": OrderedDict()}

    def __del__(self) -> None:
        for handle in self._handles.values():
            os.close(handle)

    def path_of(self, number: int) -> Path:
        """The tar of a shard."""
        return self._folder / self._shards[number].file

    def handle(self, number: int) -> int:
        """The shard's file descriptor, which may be closed when another one is asked for."""
        if number in self._handles:
            self._handles.move_to_end(number)
            return self._handles[number]
        handle = os.open(self.path_of(number), os.O_RDONLY | os.O_CLOEXEC)
        self._handles[number] = handle
        if len(self._handles) > _MOST_OPEN:
            os.close(self._handles.popitem(last=False)[1])
        return handle

    def is_new(self, number: int, place: int) -> bool:
        """Whether the sample is asked about for the first time."""
        if (number, place) in self._verified:
            return False
        self._verified.add((number, place))
        return True


class ShardMember(Media):
    """One sample's video.

    Each time it is opened the header in front of it is held against the index, and the first time
    in a process the digest too, of a video that is read whole.

    Args:
        shards: that it lies in.
        number: of its shard.
        shard: that shard.
        place: of the sample in the shard.
    """

    def __init__(self, shards: OpenShards, number: int, shard: Shard, place: int) -> None:
        self._shards, self._number, self._shard, self._place = shards, number, shard, place
        self._offset, self._size = shard.offsets[place], shard.sizes[place]
        self.name = f"{shards.path_of(number)}/{shard.members[place]}"

    @property
    def num_bytes(self) -> int:
        """See `Media`."""
        return self._size

    @property
    def key(self) -> MediaKey:
        """By its content, if that is known; else by its place in the tar."""
        digest = self._shard.digests[self._place]
        if digest:
            return digest, self._size, 0
        path = self._shards.path_of(self._number).absolute()
        return f"{path}\0{self._offset}", self._size, self._shard.changed_ns or 0

    def open(self) -> IO[bytes]:
        """See `Media`."""
        whole = self._size <= WHOLE_BYTES
        start = self._offset - BLOCK_BYTES
        wanted = BLOCK_BYTES + (self._size if whole else 0)
        try:
            content = os.pread(self._shards.handle(self._number), wanted, start)
            self._check(content, wanted)
            if whole:
                return io.BytesIO(memoryview(content)[BLOCK_BYTES:])
            return self._window()
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error.strerror}") from None

    def _check(self, content: bytes, wanted: int) -> None:
        header = parse_header(content[:BLOCK_BYTES], self.name)
        name = self._shard.members[self._place]
        is_short = len(name.encode("utf-8", "surrogateescape")) < _TAR_NAME_BYTES and name.isascii()
        is_it = str(PurePosixPath(header.name)) == name or not is_short
        if not header.isreg() or header.size != self._size or not is_it:
            raise DataError(
                f"{self.name}: the tar has another file there than its index says; it was changed: "
                "make the index again, or restore the shard"
            )
        if len(content) < wanted:
            raise DataError(f"{self.name}: the tar is cut off")
        digest = self._shard.digests[self._place]
        if (
            wanted == BLOCK_BYTES
            or not digest
            or not self._shards.is_new(self._number, self._place)
        ):
            return
        if hashlib.sha256(memoryview(content)[BLOCK_BYTES:]).hexdigest() != digest:
            raise DataError(
                f"{self.name}: its content is not that of its index (sha256); the shard is "
                "damaged: restore it"
            )

    def _window(self) -> IO[bytes]:
        """A file of its own, as long as anybody reads it."""
        handle = os.open(self._shards.path_of(self._number), os.O_RDONLY | os.O_CLOEXEC)
        return io.BufferedReader(
            Window(
                lambda size, at: os.pread(handle, size, self._offset + at),
                self._size,
                lambda: os.close(handle),
            ),
            buffer_size=2**18,
        )
