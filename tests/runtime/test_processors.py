"""The compiled engine on other processors than this one, and on machines it is not written for."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.compiled.processor import Processor, processor_of, refusal
from paddlevideo.runtime.engines.open_engine import ENGINES
from paddlevideo.utils.errors import DeviceError

pytest.importorskip("numba")

from paddlevideo.runtime.engines.compiled.host import features_of, host

TESTS = Path(__file__).resolve().parent.parent
HASWELL = "+sse2,+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2"


@pytest.mark.parametrize(
    ("family", "features", "expected"),
    [
        ("x86", "+sse2", (4, 16, "pairs", False)),
        ("x86", "+sse2,+sse4.2,+avx,+f16c", (4, 16, "pairs", True)),
        ("x86", HASWELL, (8, 16, "pairs", True)),
        ("x86", HASWELL + ",+avxvnni", (8, 16, "dot", True)),
        ("x86", HASWELL + ",+avx512f", (16, 32, "plain", True)),
        ("x86", HASWELL + ",+avx512f,+avx512bw", (16, 32, "pairs", True)),
        ("x86", HASWELL + ",+avx512f,+avx512bw,+avx512vnni", (16, 32, "dot", True)),
        ("x86", HASWELL + ",+avx512f,+avx512bw,+avx512vbmi", (16, 32, "pairs", True, False, True)),
        ("x86", HASWELL + ",+avx512f,+avx512bw,+avx512bf16", (16, 32, "pairs", True, True)),
        # What NUMBA_ENABLE_AVX=0 leaves of the last: F16C has instructions of AVX.
        ("x86", "+sse2,-avx,-avx2,+fma,+f16c,-avx512f,-avx512vnni", (4, 16, "pairs", False)),
        ("x86", "+avx512f,+avx512vnni,+avx,-avx2", (4, 16, "pairs", False)),
        ("arm", "+neon,+crc,+fp-armv8", (4, 32, "pairs", True)),
        ("arm", "+neon,+dotprod", (4, 32, "signed dot", True)),
        ("arm", "+neon,+dotprod,+i8mm,+sve2", (4, 32, "dot", True)),
    ],
)
def test_what_kernels_are_for(family, features, expected):
    """From the names of features alone: the widest vectors and the fastest products."""
    assert processor_of(family, features_of(features)) == Processor(family, *expected)


def test_the_last_word_on_a_feature_counts():
    assert features_of("+avx,+sse2,-avx") == {"sse2"} and features_of("") == frozenset()


@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "aarch64", "arm64", "ARM64"])
def test_machines_it_runs_on(machine):
    assert refusal(machine, True, "little") is None


@pytest.mark.parametrize(
    ("machine", "is_64_bit", "order"),
    [
        ("armv7l", False, "little"), ("aarch64", False, "little"), ("i686", False, "little"),
        ("riscv64", True, "little"), ("s390x", True, "big"), ("", True, "little"),
    ],
)  # fmt: skip
def test_other_machines_are_refused(machine, is_64_bit, order):
    reason = refusal(machine, is_64_bit, order)
    assert (
        reason is not None and "64-bit x86 and ARM" in reason and (machine or "unknown") in reason
    )


def test_auto_goes_on_to_onnx_runtime_where_it_is_refused(small_stream, monkeypatch):
    pytest.importorskip("onnxruntime")
    reason = "the compiled engine is written for others"
    monkeypatch.setitem(ENGINES, "compiled", replace(ENGINES["compiled"], refusal=lambda: reason))
    monkeypatch.setattr("paddlevideo.runtime.engines.compiled.engine.refusal", lambda: reason)
    auto = open_engine(small_stream.step_files, EngineOptions(device="cpu", cpu_threads=1))
    assert auto.name == "onnxruntime"
    with pytest.raises(DeviceError, match="written for others; use --engine onnxruntime"):
        open_engine(small_stream.step_files, EngineOptions(device="cpu", engine="compiled"))


# Products of four bytes as LLVM writes them for models of ARM; run with vectors of four numbers.
_ARM = """
import json, sys
import llvmlite.binding as llvm
from llvmlite import ir
from paddlevideo.runtime.engines.compiled.host import arm_products
from paddlevideo.runtime.engines.compiled.integer_simd import INTEGERS, multiply_four
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
target, result = llvm.Target.from_triple("aarch64-unknown-linux-gnu"), {}
for cpu, form in (("cortex-a72", "pairs"), ("cortex-a76", "signed dot"), ("neoverse-v2", "dot")):
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(INTEGERS, [INTEGERS] * 3), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(multiply_four(builder, form, *function.args, family="arm"))
    machine = target.create_target_machine(cpu=cpu, opt=3)
    code = machine.emit_assembly(llvm.parse_assembly(str(module)))
    result[cpu] = [sorted(arm_products(machine)), code]
json.dump(result, sys.stdout)
"""


def test_products_of_arm_are_its_instructions():
    """Raspberry Pi 4 and 5, and one with ``usdot``: what LLVM says they have, and is written."""
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2"}
    if host().family == "arm":
        environment = dict(os.environ)
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ARM], env=environment, check=True,
        capture_output=True, cwd=TESTS.parent, timeout=120,
    ).stdout  # fmt: skip
    found = json.loads(output)
    for cpu, products, instructions in (
        ("cortex-a72", [], ("smull", "smull2", "saddlp", "addp")),
        ("cortex-a76", ["dotprod"], ("sdot",)),
        ("neoverse-v2", ["dotprod", "i8mm"], ("usdot",)),
    ):
        assert found[cpu][0] == products
        for instruction in instructions:
            assert f"\t{instruction}\t" in found[cpu][1], (cpu, found[cpu][1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "features"), [("haswell", HASWELL), ("x86-64", "+sse2")], ids=["haswell", "plain"]
)
def test_kernels_for_older_processors(tmp_path, name, features):
    """Compiled for another processor of x86: random programs as in ONNX Runtime, and on 8 bits.

    ``python -m pytest -m slow tests/runtime/test_processors.py``: about two minutes.
    """
    if host().family != "x86" or host().lanes < processor_of("x86", features_of(features)).lanes:
        pytest.skip("this processor cannot run it")
    environment = {
        **os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features,
        "PADDLEVIDEO_HOME": str(tmp_path),
    }  # fmt: skip
    files = ["robustness/test_random_programs.py", "runtime/test_compiled_integers.py"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow"]
    command += [str(TESTS / file) for file in files]
    ended = subprocess.run(
        command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, timeout=1800
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
