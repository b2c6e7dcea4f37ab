"""A static program of Paddle as an ONNX file that engines run without needless operations."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.export.exporter import EXPORTERS, Exporter
from paddlevideo.export.onnx_weights import replace_items, store_as_half
from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.runtime.engines.onnx_runtime import onnxruntime_errors
from paddlevideo.utils.errors import BundleError
from paddlevideo.utils.packages import require_packages

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 17
# The largest model takes a minute; a process that waits for ever is ended.
_CONVERSION_SECONDS = 1800
_BATCH = "batch"
_ERRORS_ONLY = 3
ONNX_PACKAGES = ("onnx", "onnxruntime", "paddle2onnx")

# In a process of its own: it aborts on an operation that it does not know. Its own optimisation
# would install packages.
_CONVERT = """
import sys, paddle2onnx
program, params, target, opset = sys.argv[1:]
paddle2onnx.export(program, params, target, opset_version=int(opset), optimize_tool="None")
"""


@EXPORTERS.register_as("onnx")
class OnnxExporter(Exporter):
    """ONNX, converted from Paddle's program."""

    def check(self) -> None:
        """Raise `DeviceError` unless the packages that write ONNX are installed."""
        otherwise = "leave it out with --format paddle"
        require_packages("--format onnx", *ONNX_PACKAGES, otherwise=otherwise)

    def write(self, program: TracedProgram, folder: Path) -> list[str]:
        """Write ``NAME.onnx``."""
        target = folder / f"{program.name}.onnx"
        export_onnx(*program.paddle_files(), target, program.spec.output_names)
        if program.spec.precision == "fp16":
            store_as_half(target)
        return [target.name]


def export_onnx(program: Path, params: Path, target: Path, outputs: Sequence[str]) -> None:
    """Write ``program`` as ``target``, constants and biases folded into its operations.

    Args:
        program, params: of ``paddle.jit.save``.
        outputs: names for the outputs, in order; the inputs keep theirs.

    Raises:
        BundleError: the program has an operation that cannot be converted.
    """
    import onnx

    raw, folded = target.with_suffix(".raw"), target.with_suffix(".folded")
    try:
        _convert(program, params, raw)
        graph = onnx.load(str(raw))
        _name_the_batch(graph.graph)
        onnx.save(graph, str(raw))
        fold_constants(raw, folded)
        graph = onnx.load(str(folded))
        _name_outputs(graph.graph, outputs)
        drop_unused_domains(graph)
        onnx.checker.check_model(graph)
        onnx.save(graph, str(target))
    finally:
        raw.unlink(missing_ok=True)
        folded.unlink(missing_ok=True)


def _convert(program: Path, params: Path, target: Path) -> None:
    command = [sys.executable, "-c", _CONVERT, *map(str, (program, params, target, OPSET))]
    # The folders that our packages are found in.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            env=environment, timeout=_CONVERSION_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BundleError(
            f"paddle2onnx has not converted {program.stem} in {_CONVERSION_SECONDS} s; export with "
            "--format paddle"
        ) from None
    if done.returncode or not target.is_file():
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reasons = [line for line in lines if "error" in line.lower() or "not support" in line]
        reason = (reasons or lines or [f"exit code {done.returncode}"])[-1]
        raise BundleError(
            f"paddle2onnx cannot convert {program.stem}: {reason}; export with --format paddle"
        )


def _name_the_batch(graph: "GraphProto") -> None:
    """Call the first axis of all tensors the same: unequal names keep engines from fusing sums."""
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if not first.dim_value:
            first.dim_param = _BATCH


def fold_constants(source: Path, target: Path) -> None:
    """Compute what is constant, and make biases part of convolutions."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = str(target)
    settings.log_severity_level = _ERRORS_ONLY
    try:
        onnxruntime.InferenceSession(str(source), settings, providers=["CPUExecutionProvider"])
    except onnxruntime_errors() as error:
        raise BundleError(f"ONNX Runtime refuses {source.stem}: {error}") from None


def _name_outputs(graph: "GraphProto", names: Sequence[str]) -> None:
    """Give outputs our names, and let the operation behind an Identity be the output itself."""
    given = {value.name: name for value, name in zip(graph.output, names, strict=True)}
    inputs = {value.name for value in graph.input}
    made_by = {output: node for node in graph.node for output in node.output}
    renamed = dict(given)
    for output, name in given.items():
        node = made_by[output]
        source = node.input[0] if node.op_type == "Identity" else None
        if source is not None and source not in renamed and source not in inputs:
            renamed[source] = name
            graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in graph.output:
        value.name = given[value.name]


def drop_unused_domains(model: "ModelProto") -> None:
    """Of the operator sets that ONNX Runtime lists keep those that are used."""
    used = {node.domain for node in model.graph.node}
    replace_items(model.opset_import, (e for e in model.opset_import if e.domain in used))
