"""A checkpoint's tensors: the index names them, numbered data files hold them.

Source: TensorFlow's tensor_bundle.proto, and LevelDB's format of tables for the index. Every tensor
that is read is verified against its masked CRC-32C.
"""

import contextlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddlevideo.convert.tensorflow.crc32c import crc32c, mask
from paddlevideo.convert.tensorflow.locate import INDEX
from paddlevideo.convert.tensorflow.protobuf import as_bytes, as_int, read_fields, read_varint
from paddlevideo.convert.tensorflow.table import NotATableError, read_table
from paddlevideo.utils.damage import damage_of, open_regular, read_bounded, shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.limits import how_to_raise, limit

_HEADER_KEY = b""
_STRING = 7
_BFLOAT16 = 14
_MOST_AXES = 32  # of an array, to NumPy
# Numbers of TensorFlow's DataType as little-endian NumPy types.
_DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?",
    _BFLOAT16: "<u2", 17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies, and what it must be."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    is_sliced: bool

    @classmethod
    def parse(cls, message: bytes) -> "Entry":
        """Read a BundleEntryProto; fields that are absent are 0."""
        numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
        shape: tuple[int, ...] = ()
        is_sliced = False
        for field, value in read_fields(message):
            if field == 2:
                shape = _parse_shape(as_bytes(value))
            elif field == 7:
                is_sliced = True
            elif field in numbers:
                numbers[field] = as_int(value)
        return cls(numbers[1], shape, numbers[3], numbers[4], numbers[5], numbers[6], is_sliced)


class Bundle:
    """The tensors of the checkpoint ``prefix.index`` and ``prefix.data-00000-of-...``.

    Attributes:
        entries: ``{key: Entry}``, in the order of the index.

    Raises:
        WeightsError: the index cannot be read, is damaged, or is of another format.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.index_path = prefix.with_name(prefix.name + INDEX)
        data = read_bounded(self.index_path, int(limit("index_bytes")))
        with _damage_of(self.index_path):
            table = read_table(data)
            self.num_shards = _parse_header(table.pop(_HEADER_KEY, None))
            self.entries = {key.decode(): Entry.parse(value) for key, value in table.items()}
        self._check_data_files()

    def read(self, key: str) -> np.ndarray:
        """Return one tensor of numbers; bfloat16, which NumPy lacks, as float32.

        Raises:
            WeightsError: absent, cut, with a wrong checksum, or of a type without numbers.
        """
        entry = self._entry(key)
        where = f"{self._shard_path(entry.shard)}: {shown(key)}"
        if entry.dtype not in _DTYPES or entry.is_sliced:
            what = "sliced" if entry.is_sliced else f"of TensorFlow's type {entry.dtype}"
            raise WeightsError(f"{where} is {what}, which is not supported")
        dtype: np.dtype = np.dtype(_DTYPES[entry.dtype])
        expected = math.prod(entry.shape) * dtype.itemsize
        if entry.size != expected:
            raise WeightsError(
                f"{self.index_path}: damaged: {shown(key)} {shown(list(entry.shape))} needs "
                f"{shown(expected)} bytes, "
                f"{entry.size} are stored"
            )
        if expected > limit("tensor_bytes") or len(entry.shape) > _MOST_AXES:
            raise WeightsError(f"{where}: too large; {how_to_raise('tensor_bytes')}")
        raw = self._raw(key, entry)
        if mask(crc32c(raw)) != entry.checksum:
            raise WeightsError(f"{where}: damaged: the checksum of its {entry.size} bytes is wrong")
        array = np.frombuffer(raw, dtype)
        if entry.dtype == _BFLOAT16:  # the upper half of a float32
            array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        with _damage_of(self.index_path):
            return array.reshape(entry.shape)

    def read_string(self, key: str) -> bytes:
        """Return a scalar string tensor."""
        entry = self._entry(key)
        if entry.dtype != _STRING or entry.shape or entry.is_sliced:
            raise WeightsError(f"{self.index_path}: {key} is not a single string")
        raw = self._raw(key, entry)
        with _damage_of(self._shard_path(entry.shard)):
            length, position = read_varint(raw, 0)
            text = raw[position + 4 :]
            # The checksum is of the length as a number, its own checksum, and the text.
            lengths_sum = crc32c(struct.pack("<I", length))
            stored = struct.pack("<I", mask(lengths_sum))
            whole = crc32c(text, crc32c(stored, lengths_sum))
            if len(text) != length or raw[position : position + 4] != stored:
                raise ValueError(f"the length of {key} is wrong")
            if mask(whole) != entry.checksum:
                raise ValueError(f"the checksum of {key} is wrong")
        return text

    def verify(self, key: str) -> None:
        """Raise `WeightsError` if a tensor that is not wanted is damaged."""
        entry = self._entry(key)
        if entry.dtype in _DTYPES and not entry.is_sliced:
            self.read(key)
        elif entry.dtype == _STRING and not entry.shape and not entry.is_sliced:
            self.read_string(key)

    def _entry(self, key: str) -> Entry:
        if key not in self.entries:
            raise WeightsError(f"{self.index_path}: there is no tensor {shown(key)}")
        return self.entries[key]

    def _shard_path(self, shard: int) -> Path:
        return self.prefix.with_name(
            f"{self.prefix.name}.data-{shard:05d}-of-{self.num_shards:05d}"
        )

    def _raw(self, key: str, entry: Entry) -> bytes:
        path = self._shard_path(entry.shard)
        with open_regular(path) as (file, size), damage_of(path, "the data of a checkpoint"):
            file.seek(min(entry.offset, size))
            raw = file.read(min(entry.size, size))
        if len(raw) != entry.size:
            raise WeightsError(
                f"{path}: cut: {shown(key)} lies at bytes {entry.offset} to "
                f"{entry.offset + entry.size}"
            )
        return raw

    def _check_data_files(self) -> None:
        """Before anything is read, every data file must be there, and long enough."""
        ends: dict[int, int] = {}
        stored: dict[int, int] = {}
        for key, entry in self.entries.items():
            if not 0 <= entry.shard < self.num_shards:
                raise WeightsError(
                    f"{self.index_path}: damaged: {shown(key)} is in shard {entry.shard}"
                )
            stored[entry.shard] = stored.get(entry.shard, 0) + entry.size
            ends[entry.shard] = max(ends.get(entry.shard, 0), entry.offset + entry.size)
        for shard, end in sorted(ends.items()):
            path = self._shard_path(shard)
            if not path.is_file():
                raise WeightsError(
                    f"{path} is missing; the checkpoint has {self.num_shards} shards"
                )
            size = path.stat().st_size
            if size < end:
                raise WeightsError(f"{path}: cut: it has {size} bytes, the index needs {end}")
            if stored[shard] > size:  # each is read and summed: that must end
                raise WeightsError(f"{self.index_path}: damaged: tensors share their bytes")


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Turn what a damaged file leads to into one message."""
    with damage_of(path, "a file of a TensorFlow checkpoint"):
        try:
            yield
        except NotATableError as error:
            raise WeightsError(f"{path}: not a checkpoint index, or cut: {error}") from None
        except (ValueError, IndexError, struct.error) as error:
            raise WeightsError(f"{path}: damaged: {shown(error)}") from None


def _parse_header(message: bytes | None) -> int:
    """The number of shards of a BundleHeaderProto."""
    if message is None:
        raise ValueError("the index has no header")
    fields = dict(read_fields(message))
    if fields.get(2, 0) != 0:
        raise ValueError("the tensors are big-endian, which is not supported")
    return as_int(fields.get(1, 0))


def _parse_shape(message: bytes) -> tuple[int, ...]:
    sizes = []
    for field, value in read_fields(message):
        if field == 2:
            sizes.append(as_int(dict(read_fields(as_bytes(value))).get(1, 0)))
        elif field == 3 and value:
            raise ValueError("a tensor without a known rank")
    return tuple(sizes)
