"""Write a quantised program as a bundle of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.export.exporter import exporter
from paddlevideo.export.formats.tflite import write_integer_tflite
from paddlevideo.export.quantization.step_graphs import open_runner, run_clips
from paddlevideo.runtime.bundle import Bundle, file_facts, read_bundle, replace_bundle, work_folder
from paddlevideo.runtime.manifest import ReferenceFile
from paddlevideo.runtime.reference import NUM_STEPS, REFERENCE_NAME, Reference, unanswered
from paddlevideo.utils.errors import BundleError, ConfigError
from paddlevideo.utils.nodes import Node
from paddlevideo.video import Pipeline

if TYPE_CHECKING:
    from onnx import ModelProto

TOLERANCE = 2e-2  # of the logits' spread: processors and engines round sums of integers otherwise
WEIGHTS_TOLERANCE = 1e-4  # of the same, where only weights are int8
TFLITE_TOLERANCE = 5e-2  # of the same: LiteRT rounds sums of layers, and what gates take, too
FORMATS = ("onnx", "tflite")


def check_formats(formats: Sequence[str], of_clips: bool = False) -> None:
    """Raise unless 8-bit programs can be written so, before anything is measured.

    Raises:
        ConfigError: there is no such format of 8-bit programs.
        DeviceError: a package or a converter is missing.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(
                f"--format {name}: 8-bit programs are written as {' and '.join(FORMATS)}"
            )
        if of_clips and name != "onnx":
            raise ConfigError(f"--format {name}: 8-bit programs of whole clips are written as onnx")
        exporter(name).check()


def write_quantized(
    bundle: Bundle,
    graph: "ModelProto",
    output: Path,
    facts: Node,
    formats: Sequence[str] = ("onnx",),
) -> Bundle:
    """Write ``graph`` in place of the float32 program, alone, with an answered reference.

    Args:
        bundle: of float32, whose labels, pipeline and states the new one has.
        output: folder of the new bundle.
        facts: what ``inference.yml`` says of the quantisation.
        formats: to write the program in, beside ONNX; see `check_formats`.

    Raises:
        BundleError: ``output`` cannot be written, or a converter cannot convert the program.
    """
    import onnx
    import onnxruntime

    old = bundle.manifest
    program = old.step or old.clip
    if program is None:  # load_graph has said so
        raise BundleError(f"{bundle.folder} has no program")
    name = program.files["onnx"][0]
    files: dict[str, tuple[str, ...]] = {"onnx": (name,)}
    tolerance = WEIGHTS_TOLERANCE if facts.get("arithmetic") == "float32" else TOLERANCE
    if "tflite" in formats:
        files["tflite"] = (Path(name).with_suffix(".tflite").name,)
        tolerance = TFLITE_TOLERANCE
    quantised = replace(program, files=files, precision="int8")
    with work_folder(output) as work:
        onnx.save(graph, str(work / name))
        for made in files.get("tflite", ()):
            write_integer_tflite(work / name, work / made)
        _own_reference(bundle, graph).write(work)
        manifest = replace(
            old,
            programs=(quantised,),
            reference=ReferenceFile(REFERENCE_NAME, tolerance, "spread"),
            files=file_facts(work, [*(each for (each,) in files.values()), REFERENCE_NAME]),
            quantization=facts,
            versions={**old.versions, "onnxruntime": onnxruntime.__version__},
        )
        replace_bundle(output, work, manifest)
    return read_bundle(output)


def _own_reference(bundle: Bundle, graph: "ModelProto") -> Reference:
    """The pixels of the float32 bundle's reference, and what the quantised network makes of them.

    Against the float32 answers nothing could be proved that is finer than the rounding to 8 bits.
    """
    num_frames = Pipeline(bundle.manifest.pipeline, "pipeline").input.num_frames
    asked = unanswered(bundle.manifest.inputs, num_frames)
    (clips_BTCHW,) = asked.clips().values()
    logits_TBN = run_clips(open_runner(bundle, graph, len(clips_BTCHW)), clips_BTCHW)
    step_logits = None if bundle.manifest.step is None else logits_TBN[:NUM_STEPS]
    return replace(asked, clip_logits=logits_TBN[-1], step_logits=step_logits)
