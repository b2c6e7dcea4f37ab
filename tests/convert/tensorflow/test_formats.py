"""Checksums, wire format and tables: against other formulas, other files, and damage."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.tensorflow.writer import block, message, table, varint
from paddlevideo.convert.tensorflow.crc32c import crc32c, mask
from paddlevideo.convert.tensorflow.protobuf import read_fields, read_varint
from paddlevideo.convert.tensorflow.table import NotATableError, read_table


def slow_crc32c(data: bytes) -> int:
    """Bit by bit, as the definition says."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this and the next three: RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_published_checksums(data, expected):
    assert crc32c(data) == expected


@given(st.binary(max_size=70), st.integers(0, 70))
def test_checksum_of_any_bytes_in_any_two_parts(data, cut):
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data) == slow_crc32c(data)


@pytest.mark.parametrize("extra", [-1, 0, 1, 5])
def test_checksum_over_the_border_of_chunks(extra):
    data = np.random.default_rng(0).bytes((1 << 20) * 2 + extra)
    parts = 0
    for start in range(0, len(data), 300_001):
        parts = crc32c(data[start : start + 300_001], parts)
    assert crc32c(data) == parts
    assert crc32c(data) != crc32c(data[:-1] + bytes([data[-1] ^ 1]))


def test_mask_is_leveldbs():
    """Rotated right by 15 bits, plus a constant."""
    assert mask(0) == 0xA282EAD8
    assert mask(1 << 15) == 0xA282EAD9
    assert mask(1) == 0xA282EAD8 + (1 << 17)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_varints(value, before):
    data = before + varint(value)
    assert read_varint(data, len(before)) == (value, len(data))
    with pytest.raises(ValueError, match="no end"):
        read_varint(data[:-1], len(before))


FIELDS = st.lists(
    st.tuples(st.integers(1, 500), st.one_of(st.integers(1, 2**63), st.binary(max_size=200)))
)


@given(FIELDS)
def test_messages(fields):
    assert list(read_fields(message(*fields))) == fields


def test_fields_of_fixed_size():
    data = varint(6 << 3 | 5) + struct.pack("<I", 77) + varint(7 << 3 | 1) + struct.pack("<Q", 78)
    assert list(read_fields(data)) == [(6, 77), (7, 78)]
    for end in (1, 3, 6, 9):
        with pytest.raises(ValueError, match="cut"):
            list(read_fields(data[:end]))
    with pytest.raises(ValueError, match="unknown kind 3"):
        list(read_fields(varint(1 << 3 | 3)))


ENTRIES = st.dictionaries(
    st.one_of(st.binary(max_size=8), st.text("ab/", max_size=12).map(str.encode)),
    st.binary(max_size=40),
    max_size=60,
)


@settings(max_examples=60)
@given(ENTRIES, st.integers(1, 20), st.integers(1, 20))
def test_tables(entries, per_block, restart_interval):
    read = read_table(table(entries, per_block, restart_interval))
    assert list(read.items()) == sorted(entries.items())


@pytest.fixture(scope="module")
def some_table() -> bytes:
    return table({f"layer-{n}/kernel".encode(): b"x" * n for n in range(60)}, per_block=25)


@settings(max_examples=150)
@given(st.data())
def test_a_flipped_bit_of_a_table_is_found(some_table, data):
    """Anywhere but in the footer's padding, and in the handle of the unused meta block."""
    place = data.draw(st.integers(0, len(some_table) - 49))
    damaged = bytearray(some_table)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    meta = some_table.index(block([], 1))
    if meta <= place < meta + len(block([], 1)):
        return
    with pytest.raises(ValueError, match=r"checksum|cut|fit"):
        read_table(bytes(damaged))


@settings(max_examples=60)
@given(st.data())
def test_a_cut_table_is_found(some_table, data):
    with pytest.raises(NotATableError, match="no LevelDB table"):
        read_table(some_table[: data.draw(st.integers(0, len(some_table) - 1))])


@settings(max_examples=100)
@given(st.binary(max_size=120))
def test_no_bytes_lead_to_another_error(some_table, data):
    for content in (data, data + some_table[-48:], data + some_table[-8:]):
        with pytest.raises((ValueError, IndexError, struct.error)):
            read_table(content)


def test_compressed_blocks_are_named():
    content = block([(b"k", b"v")])[:-5] + b"\1"
    content += struct.pack("<I", mask(crc32c(content)))
    whole = table({b"k": b"v"})
    start = len(block([(b"k", b"v")]))
    with pytest.raises(ValueError, match=r"compressed \(Snappy\)"):
        read_table(content + whole[start:])
