"""The processor that numba compiles for: this one, or what numba's settings name in its place."""

import platform
from functools import cache

import llvmlite.binding as llvm
from numba.core import codegen, config

from paddlevideo.runtime.engines.compiled.processor import (
    Processor,
    family_of,
    processor_of,
    refused_by_kernel,
)

# A product of 16 bytes that LLVM writes as one instruction where the processor has it.
_PROBE = """
define i32 @probe(<16 x i8> %x, <16 x i8> %w) {{
  %a = {kind} <16 x i8> %x to <16 x i32>
  %b = sext <16 x i8> %w to <16 x i32>
  %c = mul <16 x i32> %a, %b
  %d = call i32 @llvm.vector.reduce.add.v16i32(<16 x i32> %c)
  ret i32 %d
}}
declare i32 @llvm.vector.reduce.add.v16i32(<16 x i32>)
"""


@cache
def host() -> Processor:
    """The processor that numba compiles for."""
    family = family_of(platform.machine())
    features = features_of(config_text())
    if family == "arm":
        # LLVM knows most of a model of ARM, and names little of it.
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        name = vars(config)["CPU_NAME"] or llvm.get_host_cpu_name()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=name, features=config_text())
        features |= arm_products(machine) - refused_by_kernel()
    return processor_of(family, features)


def config_text() -> str:
    """Features as numba hands them to LLVM: ``+name,-name``.

    They are those of its settings (``NUMBA_CPU_FEATURES``, ``NUMBA_ENABLE_AVX``), else of this
    processor.
    """
    chosen: str | None = vars(config)["CPU_FEATURES"]
    if chosen is not None:
        return chosen
    found: str = codegen.get_host_cpu_features()
    return found


def features_of(text: str) -> frozenset[str]:
    """Names of the features that a text as `config_text` switches on; the last word on each."""
    last = {part[1:]: part[:1] == "+" for part in text.split(",") if part}
    return frozenset(name for name, has in last.items() if has)


def arm_products(machine: llvm.TargetMachine) -> frozenset[str]:
    """Which products of bytes LLVM makes for a machine of ARM: of "dotprod" and "i8mm"."""
    found = set()
    for name, kind, instruction in (("dotprod", "sext", "sdot"), ("i8mm", "zext", "usdot")):
        code = machine.emit_assembly(llvm.parse_assembly(_PROBE.format(kind=kind)))
        if f"\t{instruction}\t" in code:
            found.add(name)
    return frozenset(found)
