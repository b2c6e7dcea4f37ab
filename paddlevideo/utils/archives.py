"""Archives: zips of arrays (``.npz``, ``.pt``) and tars of checkpoints, unpacked within limits."""

import ast
import contextlib
import gzip
import math
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np

from paddlevideo.utils.damage import damage_of, open_regular, shown
from paddlevideo.utils.limits import how_to_raise, limit

_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_LONGEST_END_BYTES = 22 + 0xFFFF  # of the record at a zip's end, with its comment
_DIRECTORY_BYTES_PER_MEMBER = 512
_RATIO = 10
_NPY_MAGIC = b"\x93NUMPY"
_LONGEST_NPY_HEADER = 10_000
_NPY_KINDS = "biufcUS"  # NumPy's letters of numbers and texts
_MOST_AXES = 32


@contextlib.contextmanager
def open_archive(file: IO[bytes], num_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose members, unpacked, are no larger than the limit ``archive_bytes``.

    Raises:
        ValueError: it is larger, or has members without end.
    """
    _require_directory(file, num_bytes)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > limit("tensors"):
            raise ValueError(f"it has {len(members)} members; {how_to_raise('tensors')}")
        unpacked = sum(member.file_size for member in members)
        if unpacked > max(limit("archive_bytes"), _RATIO * num_bytes):
            raise ValueError(f"unpacked it has {unpacked} bytes; {how_to_raise('archive_bytes')}")
        stored = sum(m.file_size for m in members if m.compress_type == zipfile.ZIP_STORED)
        packed = sum(m.compress_size for m in members)
        if max(stored, packed) > num_bytes:
            raise ValueError(f"its members are longer than its {num_bytes} bytes")
        yield archive


def read_npz(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Return the arrays of a ``.npz`` whose names are ``wanted``: numbers and texts only.

    Raises:
        WeightsError: missing, damaged, or larger than the limits.
    """
    with (
        open_regular(path) as (file, size),
        damage_of(path, "a .npz file"),
        open_archive(file, size) as archive,
    ):
        arrays: dict[str, np.ndarray] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if not wanted(name):
                continue
            if name in arrays:
                raise ValueError(f"the array {shown(name)} comes twice")
            with archive.open(member) as content:
                arrays[name] = _read_npy(content, member.file_size)
        return arrays


class _Bounded:
    """A stream that ends with an error where an archive of ``num_bytes`` has unpacked too much."""

    def __init__(self, stream: gzip.GzipFile, num_bytes: int) -> None:
        self._stream = stream
        self._left = max(limit("archive_bytes"), _RATIO * num_bytes)

    def read(self, num_bytes: int) -> bytes:
        """Read as the stream does."""
        try:
            content = self._stream.read(num_bytes)
        except gzip.BadGzipFile as error:  # an OSError, but no trouble of the disk
            raise ValueError(str(error)) from None
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"unpacked it is too large; {how_to_raise('archive_bytes')}")
        return content


def unpack_tar(path: Path, folder: Path) -> None:
    """Unpack the regular files of a ``.tar.gz`` below ``folder``; links and devices are left out.

    Raises:
        WeightsError: missing, damaged, larger than the limits, or with a name that leads elsewhere.
    """
    with (
        open_regular(path) as (file, size),
        damage_of(path, "a .tar.gz file"),
        gzip.GzipFile(fileobj=file) as unpacked,
        tarfile.open(fileobj=cast(IO[bytes], _Bounded(unpacked, size)), mode="r|") as archive,
    ):
        for number, member in enumerate(archive):
            if number >= limit("tensors"):
                raise ValueError(f"it has more than {number} members; {how_to_raise('tensors')}")
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                continue
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or "\0" in member.name:
                raise ValueError(f"the name {shown(member.name)} leads elsewhere")
            target = folder.joinpath(*name.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as output:
                shutil.copyfileobj(content, output)


def _read_npy(file: IO[bytes], num_bytes: int) -> np.ndarray:
    """One array, of exactly the bytes of its member."""
    start = file.read(8)
    if start[:6] != _NPY_MAGIC or len(start) != 8 or start[6] not in (1, 2, 3):
        raise ValueError("a member is no array")
    layout = "<H" if start[6] == 1 else "<I"
    width = struct.calcsize(layout)
    (length,) = struct.unpack(layout, file.read(width))
    if length > _LONGEST_NPY_HEADER:
        raise ValueError(f"the header of an array has {length} bytes")
    dtype, shape, order = _parse_header(file.read(length).decode("utf-8"))
    needed = math.prod(shape) * dtype.itemsize
    if needed != num_bytes - 8 - width - length:
        raise ValueError(f"an array {shown(list(shape))} {dtype} is not of the length it needs")
    content = bytearray(file.read())  # to the end, where the checksum is verified
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _parse_header(text: str) -> tuple[np.dtype, tuple[int, ...], object]:
    header = ast.literal_eval(text.strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("the header of an array is damaged")
    descr, shape = header["descr"], header["shape"]
    if not isinstance(descr, str) or len(descr) > 16:
        raise ValueError("an array of records, which is not supported")
    dtype: np.dtype = np.dtype(descr)
    if dtype.kind not in _NPY_KINDS or type(shape) is not tuple or len(shape) > _MOST_AXES:
        raise ValueError(f"an array of type {dtype}, which is not supported")
    if any(type(size) is not int or size < 0 for size in shape):
        raise ValueError("the shape of an array is damaged")
    return dtype, shape, "F" if header["fortran_order"] else "C"


def _require_directory(file: IO[bytes], num_bytes: int) -> None:
    """Raise if the list of members, which is read as a whole, is far longer than any needs."""
    file.seek(max(0, num_bytes - _LONGEST_END_BYTES - 76))
    tail = file.read(_LONGEST_END_BYTES + 76)
    start = tail.rfind(_END)
    sizes = [tail[start + 12 : start + 16]] if start >= 0 else []
    place64 = tail.rfind(_END64)
    if place64 >= 0:
        sizes.append(tail[place64 + 40 : place64 + 48])
    most = _DIRECTORY_BYTES_PER_MEMBER * limit("tensors")
    for size in sizes:
        number = int.from_bytes(size, "little")
        if number not in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF) and number > most:
            raise ValueError(f"its list of members has {number} bytes; {how_to_raise('tensors')}")
    file.seek(0)
