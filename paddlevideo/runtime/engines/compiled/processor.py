"""What the kernels are written for on a processor, from the names of what it can do.

Nothing of numba is imported here: whether the engine can run at all is asked before each stream.
"""

import ctypes
import platform
import sys
from collections.abc import Set
from dataclasses import dataclass
from functools import cache
from typing import Literal

Family = Literal["x86", "arm"]

Form = Literal["dot", "signed dot", "pairs", "plain"]
"""How four products of bytes are added up: by one instruction (VNNI, ``usdot``); by one for signed
bytes (``sdot``); by two of 16 bits; or one by one."""

_FAMILIES: dict[str, Family] = {
    "x86_64": "x86", "amd64": "x86", "aarch64": "arm", "arm64": "arm",
}  # fmt: skip


@dataclass(frozen=True)
class Processor:
    """What kernels are compiled for.

    Attributes:
        family: whose instructions they are.
        lanes: floats of a vector.
        registers: vectors that the processor holds.
        form: of products on 8 bits.
        converts_halves: float16 becomes float32 in one instruction.
        bfloat16: two products of bfloat16 are added to a float32 in one instruction.
        permutes_bytes: one instruction looks up 64 bytes in a table of 128.
    """

    family: Family
    lanes: int
    registers: int
    form: Form
    converts_halves: bool
    bfloat16: bool = False
    permutes_bytes: bool = False


def refusal(
    machine: str | None = None, is_64_bit: bool = sys.maxsize > 1 << 32, order: str = sys.byteorder
) -> str | None:
    """Why the compiled engine cannot run on a machine; None if it can.

    Args:
        machine: as `platform.machine` names it; None: this one.
        is_64_bit: of its addresses. A 64-bit processor may run a 32-bit Python.
        order: of the bytes of a number.
    """
    machine = platform.machine() if machine is None else machine
    bits = 64 if is_64_bit else 32
    if is_64_bit and order == "little" and machine.lower() in _FAMILIES:
        return None
    return (
        "the compiled engine is written for 64-bit x86 and ARM processors; this is "
        f"{machine or 'an unknown one'} with a {bits}-bit Python"
    )


def family_of(machine: str) -> Family:
    """The family of a machine as `platform.machine` names it; "x86" of those that are refused."""
    return _FAMILIES.get(machine.lower(), "x86")


def processor_of(family: Family, features: Set[str]) -> Processor:
    """The widest vectors and the fastest form that a processor has instructions for.

    Args:
        features: their names as LLVM has them. Some of those of x86 are left out where what they
            build on is missing: switched off, for instance, with ``NUMBA_ENABLE_AVX=0``.
    """
    if family == "arm":
        return Processor("arm", 4, 32, _form_of_arm(features), True)
    has_avx2 = {"avx", "avx2"} <= features
    if has_avx2 and "avx512f" in features:
        form = _form_of_avx512(features)
        has_pairs, permutes = {"avx512bw", "avx512bf16"} <= features, "avx512vbmi" in features
        return Processor("x86", 16, 32, form, True, has_pairs, permutes)
    if has_avx2:
        form = "dot" if "avxvnni" in features else "pairs"
        return Processor("x86", 8, 16, form, "f16c" in features)
    # Each x86 processor with 64 bits has SSE2.
    return Processor("x86", 4, 16, "pairs", {"avx", "f16c"} <= features)


def _form_of_avx512(features: Set[str]) -> Form:
    if "avx512vnni" in features:
        return "dot"
    return "pairs" if "avx512bw" in features else "plain"


def _form_of_arm(features: Set[str]) -> Form:
    if "i8mm" in features:
        return "dot"
    return "signed dot" if "dotprod" in features else "pairs"


_AT_HWCAP, _AT_HWCAP2 = 16, 26
_KERNEL_NAMES = {"dotprod": (_AT_HWCAP, 20), "i8mm": (_AT_HWCAP2, 13)}  # bits: Linux's hwcap.h


@cache
def refused_by_kernel() -> frozenset[str]:
    """What Linux on ARM says that the processor cannot do, of what the kernels would use.

    LLVM goes by the processor's model, of which a virtual machine may hide something.
    """
    if sys.platform != "linux" or family_of(platform.machine()) != "arm":
        return frozenset()
    read = ctypes.CDLL(None).getauxval
    read.restype, read.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return frozenset(
        name for name, (word, bit) in _KERNEL_NAMES.items() if not read(word) >> bit & 1
    )
