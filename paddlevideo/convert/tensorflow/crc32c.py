"""CRC-32C (Castagnoli), the checksum of TensorFlow's files, in NumPy.

A CRC register is linear over bits: that of ``A || B`` is the register of A moved on by the length
of B, xor the register of B. So a chunk is folded in half again and again, each time with one table
look-up for all pairs at once. That is fast enough (see docs/weights.md) to need no dependency.

Source: RFC 3720, appendix B.4 (polynomial, check values); masking: LevelDB's log format.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41 with its bits reversed
_ALL_ONES = 0xFFFFFFFF
_CHUNK_BYTES = 1 << 20
_WORD_BYTES = 4
_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes | memoryview, value: int = 0) -> int:
    """Return the CRC-32C of ``data``; ``value`` is that of the bytes before it."""
    view = memoryview(data).cast("B")
    register = value ^ _ALL_ONES
    first = len(view) % _CHUNK_BYTES  # the ragged chunk comes first, the others are full
    starts = (
        [0, *range(first, len(view), _CHUNK_BYTES)] if first else range(0, len(view), _CHUNK_BYTES)
    )
    for start in starts:
        end = first if first and start == 0 else start + _CHUNK_BYTES
        register = _advance(register, view[start:end])
    return register ^ _ALL_ONES


def mask(value: int) -> int:
    """Return the form in which a checksum is stored among data that is itself summed."""
    return (((value >> 15) | (value << 17)) + _MASK_DELTA) & _ALL_ONES


def _advance(register: int, chunk: memoryview) -> int:
    """Return the register after the bytes of ``chunk``."""
    if len(chunk) < _WORD_BYTES:
        for byte in chunk:
            register = (register >> 8) ^ _one_byte(register ^ byte)
        return register
    # Zeros in front do not change a register of 0, and the old register is xored into the first
    # four bytes: so any chunk is a power of two of words.
    num_words = 1 << (-(-len(chunk) // _WORD_BYTES) - 1).bit_length()
    padded: np.ndarray = np.zeros(num_words * _WORD_BYTES, np.uint8)
    start = len(padded) - len(chunk)
    padded[start:] = np.frombuffer(chunk, np.uint8)
    padded[start : start + _WORD_BYTES] ^= np.frombuffer(register.to_bytes(4, "little"), np.uint8)
    words = padded.view("<u4")
    level = 0
    while len(words) > 1:
        words = _move_on(words[0::2], level) ^ words[1::2]
        level += 1
    return int(_move_on(words, 0)[0])


def _move_on(registers: np.ndarray, level: int) -> np.ndarray:
    """Registers after ``4 * 2 ** level`` bytes of zeros."""
    low, high = _tables(level)
    moved: np.ndarray = low[registers & np.uint32(0xFFFF)] ^ high[registers >> np.uint32(16)]
    return moved


@functools.cache
def _tables(level: int) -> tuple[np.ndarray, np.ndarray]:
    """What `_move_on` makes of the low and of the high 16 bits."""
    columns = _columns(level)
    low: np.ndarray = np.zeros(1, np.uint32)
    high: np.ndarray = np.zeros(1, np.uint32)
    for bit in range(16):
        low = np.concatenate([low, low ^ columns[bit]])
        high = np.concatenate([high, high ^ columns[bit + 16]])
    return low, high


def _columns(level: int) -> np.ndarray:
    """What `_move_on` makes of each single bit."""
    single_bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if level > 0:  # twice the step below
        return _move_on(_move_on(single_bits, level - 1), level - 1)
    columns = []
    for register in single_bits.tolist():
        for _ in range(_WORD_BYTES):
            register = (register >> 8) ^ _one_byte(register)
        columns.append(register)
    return np.array(columns, np.uint32)


def _one_byte(register: int) -> int:
    """What the lowest byte of a register adds to it when it is shifted out."""
    low = register & 0xFF
    for _ in range(8):
        low = (low >> 1) ^ (_POLYNOMIAL if low & 1 else 0)
    return low
