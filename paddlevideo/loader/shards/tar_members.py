"""`tar_members`: the regular files of a tar, by reading its headers alone; nothing is unpacked.

What a shard has no use for is refused: links, devices, sparse files, names that lead elsewhere or
come twice, sizes beyond the file's end. Headers are parsed by Python's ``tarfile``; what is
between them is walked here, as ``tarfile`` takes garbage behind a member for the archive's end.
"""

import os
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from paddlevideo.loader.dataset.list_files import check_path
from paddlevideo.utils.errors import DataError, shown

BLOCK_BYTES = 512
_ZEROS = bytes(BLOCK_BYTES)
_MOST_EXTENSION_BYTES = 64 * 2**10  # of a header that holds a long name
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KINDS = {
    tarfile.LNKTYPE: "a link", tarfile.SYMTYPE: "a symbolic link", tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe", tarfile.GNUTYPE_SPARSE: "sparse",
}  # fmt: skip


class TarMember(NamedTuple):
    """One file in a tar.

    Attributes:
        name: without ``./`` before it.
        offset: of its first byte in the tar.
        num_bytes: of its content.
    """

    name: str
    offset: int
    num_bytes: int


def tar_members(handle: int, name: str) -> Iterator[TarMember]:
    """Yield the files of a tar that is open for reading; folders are passed over.

    Args:
        handle: file descriptor; its position is not moved.
        name: of the tar, for messages.

    Raises:
        DataError: it is no tar, is damaged or cut off, or holds what is refused.
        OSError: it cannot be read.
    """
    size = os.fstat(handle).st_size
    offset = 0
    extension: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        block = os.pread(handle, BLOCK_BYTES, offset)
        if block == _ZEROS:
            return
        header = parse_header(block, f"{name}, byte {offset}")
        offset += BLOCK_BYTES
        is_extension = header.type in (*_EXTENSIONS, tarfile.XGLTYPE)
        if is_extension and header.size > _MOST_EXTENSION_BYTES:
            raise DataError(f"{name}: a header of {header.size} bytes; is it a tar of samples?")
        num_bytes = header.size
        if not is_extension:
            member = _member(header, extension, offset, name)
            num_bytes, extension = member.num_bytes, {}
        if not 0 <= num_bytes <= size - offset:
            raise DataError(
                f"{name}: {shown(header.name)} has {num_bytes} bytes by its header, and the file "
                f"ends {max(0, size - offset)} bytes behind it; it is cut off or damaged"
            )
        if is_extension:
            extension |= _extension(header, os.pread(handle, num_bytes, offset), name)
        elif header.type in _FILES:
            if member.name in seen:
                raise DataError(f"{name}: {shown(member.name)} is in it twice")
            seen.add(member.name)
            yield member
        offset += -(-num_bytes // BLOCK_BYTES) * BLOCK_BYTES


def parse_header(block: bytes, where: str) -> tarfile.TarInfo:
    """Return what the header of a member says.

    Args:
        block: `BLOCK_BYTES` bytes.
        where: for the message.

    Raises:
        DataError: it is no header: cut off, or its checksum is wrong.
    """
    if len(block) < BLOCK_BYTES:
        raise DataError(f"{where}: the tar is cut off: it has no end")
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise DataError(f"{where}: no header of a tar: {error}; it is damaged, or none") from None


def _member(header: tarfile.TarInfo, extension: dict[str, str], offset: int, tar: str) -> TarMember:
    """The member that a header and those that extend it describe."""
    name = extension.get("path", header.name)
    where = f"{tar}: {shown(name)}"
    if header.type not in (*_FILES, tarfile.DIRTYPE):
        kind = _KINDS.get(header.type, f"of an unknown type {header.type!r}")
        raise DataError(f"{where} is {kind}; a shard holds files alone")
    if any(key.startswith("GNU.sparse") for key in extension):
        raise DataError(f"{where} is sparse; a shard holds files alone")
    size = extension.get("size", str(header.size))
    if not (size.isascii() and size.isdigit() and len(size) < 19):
        raise DataError(f"{where} has a size that is none: {shown(size)}")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise DataError(f"{where} leads elsewhere; a member's name is relative, without ..")
    if not path.parts and header.type != tarfile.DIRTYPE:
        raise DataError(f"{tar}: a member without a name")
    check_path(str(path), tar)
    return TarMember(str(path), offset, int(size))


def _extension(header: tarfile.TarInfo, content: bytes, tar: str) -> dict[str, str]:
    """What a header that extends the next one says; what holds for all of them is passed over."""
    if header.type == tarfile.XGLTYPE:
        return {}
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")}
    found: dict[str, str] = {}
    while content:
        digits, _, _ = content.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 7 else 0
        key, equals, value = content[len(digits) + 1 : length].partition(b"=")
        if not equals or not value.endswith(b"\n") or length > len(content):
            raise DataError(f"{tar}: the long header of a member is damaged")
        found[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        content = content[length:]
    return found
