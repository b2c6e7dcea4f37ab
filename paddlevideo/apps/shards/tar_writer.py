"""`TarWriter`: a tar whose bytes follow from its members' names and contents alone."""

import hashlib
import tarfile
from typing import IO

from paddlevideo.loader.shards.tar_members import BLOCK_BYTES

LARGEST_MEMBER_BYTES = 8 * 2**30 - 1  # what the header of a tar can say
_COPY_BYTES = 2**20


class TarWriter:
    """Writes members one after the other, each with the same header but for name and size.

    Args:
        file: open for writing, at its beginning.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._num_bytes = 0

    def add(self, name: str, content: IO[bytes], size: int) -> tuple[int, str]:
        """Copy a member; return its offset and SHA-256.

        Raises:
            EOFError: the content has another size.
        """
        self._begin(name, size)
        offset, left, digest = self._num_bytes, size, hashlib.sha256()
        while block := content.read(min(_COPY_BYTES, left + 1)):
            left -= len(block)
            if left < 0:
                raise EOFError
            digest.update(block)
            self._put(block)
        if left:
            raise EOFError
        self._put(bytes(-self._num_bytes % BLOCK_BYTES))
        return offset, digest.hexdigest()

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write a member."""
        self._begin(name, len(content))
        self._put(content + bytes(-len(content) % BLOCK_BYTES))

    def finish(self) -> int:
        """Write the end; return the size of the whole."""
        end = self._num_bytes + 2 * BLOCK_BYTES
        self._put(bytes(2 * BLOCK_BYTES + -end % tarfile.RECORDSIZE))
        return self._num_bytes

    def _begin(self, name: str, size: int) -> None:
        header = tarfile.TarInfo(name)
        header.size = size
        self._put(header.tobuf(tarfile.USTAR_FORMAT))

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._num_bytes += len(content)
