"""Programs as TFLite files, by onnx2tf in an environment of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.export.exporter import EXPORTERS, Exporter
from paddlevideo.export.formats.onnx import (
    ONNX_PACKAGES,
    drop_unused_domains,
    export_onnx,
    fold_constants,
)
from paddlevideo.export.onnx_activations import without_hard_sigmoid
from paddlevideo.export.onnx_one_clip import of_one_clip
from paddlevideo.export.onnx_roundings import (
    read_past_as_given,
    read_rounded,
    with_float_weights,
)
from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.runtime.manifest import ClipProgram
from paddlevideo.utils.errors import BundleError, ConfigError, DeviceError
from paddlevideo.utils.packages import is_installed, require_packages

if TYPE_CHECKING:
    from onnx import ModelProto

PYTHON_VARIABLE = "PADDLEVIDEO_TFLITE_PYTHON"
# Later ones are no better known: 1.29.24 gives a convolution of these programs wrong axes.
CONVERTER_VERSION = "1.28.8"

_SCRIPT = Path(__file__).resolve().parent.parent / "tflite_script.py"
_VERSION = "import importlib.metadata; print(importlib.metadata.version('onnx2tf'))"
_VERSION_SECONDS = 60
# The largest model takes some minutes; a process that waits for ever is ended.
_CONVERSION_SECONDS = 3600
_OTHERWISE = "leave out --format tflite"
_HOW = (
    "python -m venv tflite-env; tflite-env/bin/pip install -r requirements-tflite.txt; "
    f"export {PYTHON_VARIABLE}=tflite-env/bin/python (docs/tflite.md)"
)


@EXPORTERS.register_as("tflite")
class TfliteExporter(Exporter):
    """TFLite, converted from our ONNX file, for one clip or one stream at a time."""

    def check(self) -> None:
        """Raise `DeviceError` unless ONNX can be written, and the converter is there."""
        require_packages("--format tflite", *ONNX_PACKAGES, otherwise=_OTHERWISE)
        _check_converter()

    def write(self, program: TracedProgram, folder: Path) -> list[str]:
        """Write ``NAME.tflite``.

        Raises:
            BundleError: the converter cannot do it, or makes something else of it.
            ConfigError: a program of several clips is asked for.
        """
        spec = program.spec
        is_clip = isinstance(spec, ClipProgram)
        if is_clip and spec.inputs[0].shape[0] > 1:
            raise ConfigError(
                f"--format tflite writes a program of one clip; leave out --batch "
                f"{spec.inputs[0].shape[0]} (the engine here takes several one after the other)"
            )
        target = folder / f"{program.name}.tflite"
        with tempfile.TemporaryDirectory() as work:
            source = Path(work) / f"{program.name}.onnx"
            export_onnx(*program.paddle_files(), source, spec.output_names)
            _fix_batch(source)
            if is_clip:
                folded = source.with_suffix(".folded")
                fold_constants(source, folded)
                source = folded.replace(source)
                _rewrite(source, drop_unused_domains)
                _rewrite(source, of_one_clip)
            _rewrite(source, lambda model: without_hard_sigmoid(model.graph))
            _convert(source, target, spec.precision)
        return [target.name]


def write_integer_tflite(source: Path, target: Path) -> None:
    """Convert the ONNX step program of an int8 bundle, with its ranges and integers.

    Args:
        source: as `paddlevideo.export.quantization` writes it.

    Raises:
        BundleError: the converter cannot do it, or makes something else of it.
    """
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work) / source.name
        shutil.copyfile(source, copy)
        _rewrite(copy, with_float_weights)
        _rewrite(copy, read_past_as_given)
        _rewrite(copy, read_rounded)
        _rewrite(copy, lambda model: without_hard_sigmoid(model.graph))
        _fix_batch(copy)
        _convert(copy, target, "int8")


def _check_converter() -> None:
    python = _python()
    if python is None:
        raise DeviceError(f"--format tflite needs onnx2tf in an environment of its own: {_HOW}")
    found = _run([python, "-c", _VERSION], _VERSION_SECONDS)
    if found is None or found.returncode:
        raise DeviceError(f"--format tflite: {python} cannot import onnx2tf: {_HOW}")
    version = found.stdout.strip()
    if version != CONVERTER_VERSION:
        raise DeviceError(
            f"--format tflite: {python} has onnx2tf {version}, and {CONVERTER_VERSION} is the one "
            f"that is known to convert these programs: {_HOW}"
        )


def _python() -> str | None:
    """The Python that has the converter: the one that is named, or else this one."""
    return os.environ.get(PYTHON_VARIABLE) or (sys.executable if is_installed("onnx2tf") else None)


def _fix_batch(path: Path) -> None:
    """Give the ONNX file one size of a batch."""

    def fix(model: "ModelProto") -> None:
        for value in (*model.graph.input, *model.graph.output):
            batch = value.type.tensor_type.shape.dim[0]
            batch.dim_value = batch.dim_value or 1

    _rewrite(path, fix)


def _rewrite(path: Path, change: "Callable[[ModelProto], None]") -> None:
    import onnx

    model = onnx.load(str(path))
    change(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _convert(source: Path, target: Path, precision: str) -> None:
    python = _python() or sys.executable
    command = [python, str(_SCRIPT), str(source), str(target), precision]
    done = _run(command, _CONVERSION_SECONDS)
    if done is None:
        raise BundleError(
            f"onnx2tf has not converted {source.stem} in {_CONVERSION_SECONDS} s; {_OTHERWISE}"
        )
    if done.returncode or not target.is_file():
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = (lines or [f"exit code {done.returncode}"])[-1]
        raise BundleError(f"onnx2tf cannot convert {source.stem}: {reason[:500]}; {_OTHERWISE}")


def _run(command: list[str], seconds: int) -> "subprocess.CompletedProcess[str] | None":
    """Run the converter's Python without the folders of ours; None where it does not end."""
    ours = ("PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            env=environment, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise DeviceError(
            f"{PYTHON_VARIABLE}={command[0]} cannot be run: {error}; {_HOW}"
        ) from None
