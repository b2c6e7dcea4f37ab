"""Run variants of a bundle's program over whole clips: of a step program, the states handed on.

A bundle without a step program is run clip by clip.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions, OnnxRuntimeEngine
from paddlevideo.runtime.engines.base import EngineTensor
from paddlevideo.runtime.manifest import Program
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError
from paddlevideo.video import Pipeline

if TYPE_CHECKING:
    from onnx import ModelProto, TensorShapeProto, ValueInfoProto

Observe = Callable[[str, np.ndarray], None]

_OPTIONS = EngineOptions(device="cpu", engine="onnxruntime")
_MOST_BYTES = 1 << 29  # of the tensors of a clip that are shown in one run


class ClipRunner:
    """Runs whole clips, one at a time: together the maps of many frames fill the memory.

    Args:
        engines: of the same program, that show different tensors; the first one answers.
    """

    def __init__(self, engines: Sequence[OnnxRuntimeEngine]) -> None:
        self._engines = engines

    def logits(self, clips_BTCHW: np.ndarray) -> np.ndarray:
        """Logits [B, N]."""
        logits_BN = []
        for clip_TCHW in clips_BTCHW:
            found = [engine.run(self._inputs(engine, clip_TCHW)) for engine in self._engines]
            logits_BN.append(next(iter(found[0].values())))
        return np.concatenate(logits_BN)

    def _inputs(self, engine: OnnxRuntimeEngine, clip_TCHW: np.ndarray) -> dict[str, np.ndarray]:
        (name,) = engine.input_names
        return {name: clip_TCHW[None]}


Runner = StepRunner | ClipRunner


def load_graph(bundle: Bundle) -> "ModelProto":
    """The program of ``bundle`` that is quantised: that of one frame, else that of a clip.

    Raises:
        BundleError: it has none as ONNX, one for a fixed number of streams or clips, one of several
            clips, or weights that are not float32.
    """
    manifest = bundle.manifest
    if manifest.step is not None or manifest.clip is None:
        return load_step_graph(bundle)
    if len(manifest.inputs) != 1:
        raise BundleError(
            f"{bundle.folder} takes {len(manifest.inputs)} clips at a time; a network of one is "
            "what can be quantised"
        )
    return _load(bundle, manifest.clip, "clip")


def load_step_graph(bundle: Bundle) -> "ModelProto":
    """The step program of ``bundle`` as an ``onnx.ModelProto``.

    Raises:
        BundleError: it has none as ONNX, one for a fixed number of streams, or weights that are not
            float32.
    """
    step = bundle.manifest.step
    if step is None:
        _ = bundle.step_files  # says that there is none
        raise BundleError(f"{bundle.folder} has no step program")
    return _load(bundle, step, "step")


def _load(bundle: Bundle, program: Program, what: str) -> "ModelProto":
    folder, path = bundle.folder, bundle.files_of(program).onnx
    if program.precision != "fp32":
        raise BundleError(
            f"{folder} holds {program.precision} weights already; quantise the fp32 bundle "
            "of the same model"
        )
    if path is None:
        raise BundleError(
            f"{folder} holds no {what} program as ONNX, which is what is quantised; export with "
            "--format paddle,onnx"
        )
    rows = program.inputs[0].shape[0]
    if rows != -1:
        unit = "streams" if what == "step" else "clips"
        raise BundleError(
            f"{folder} was exported for {rows} {unit} at a time; to quantise it, export with "
            "--batch dynamic"
        )
    import onnx

    return onnx.load(str(path))


class _ObservingEngine(OnnxRuntimeEngine):
    """Shows tensors of the program to an observer in every run; its last outputs are some of them.

    Args:
        given: names of the outputs that are no more than shown, in order.
        observed: names of all tensors to show.
    """

    def __init__(
        self,
        path: Path,
        output_names: Sequence[str],
        given: Sequence[str],
        observed: Sequence[str],
        observe: Observe,
    ) -> None:
        super().__init__(path, [*output_names, *given], _OPTIONS)
        self._given = set(given)
        self._observed = list(observed)
        self._observe = observe

    def run_tensors(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        """The program's own outputs."""
        outputs = super().run_tensors(inputs)
        known = {**inputs, **outputs}
        for name in self._observed:
            self._observe(name, self.array(known[name]))
        return {name: value for name, value in outputs.items() if name not in self._given}


def open_observed(
    bundle: Bundle, model: "ModelProto", tensors: Sequence[str], observe: Observe
) -> Runner:
    """A runner of one stream or clip that shows ``tensors`` of every run to ``observe``."""
    import onnx

    # An output has to have a shape.
    inferred = {
        value.name: value for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    if bundle.manifest.step is not None:
        engine = _observing(bundle, model, tensors, inferred, observe)
        return StepRunner(bundle, _OPTIONS, 1, engine)
    num_frames = Pipeline(bundle.manifest.pipeline, "pipeline").input.num_frames
    sizes = {
        name: 4 * num_frames * math.prod(max(d.dim_value, 1) for d in _dims(value)[1:])
        for name, value in inferred.items()
    }
    groups = _groups(tensors, sizes)
    return ClipRunner([_observing(bundle, model, group, inferred, observe) for group in groups])


def _dims(value: "ValueInfoProto") -> Sequence["TensorShapeProto.Dimension"]:
    return value.type.tensor_type.shape.dim


def _groups(tensors: Sequence[str], sizes: Mapping[str, int]) -> list[list[str]]:
    """Tensors that can be held at a time: of a clip those of all its frames are."""
    groups: list[list[str]] = [[]]
    held = 0
    for name in tensors:
        size = sizes.get(name, 0)
        if groups[-1] and held + size > _MOST_BYTES:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += size
    return groups


def _observing(
    bundle: Bundle,
    model: "ModelProto",
    tensors: Sequence[str],
    inferred: "Mapping[str, ValueInfoProto]",
    observe: Observe,
) -> _ObservingEngine:
    import onnx

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    outputs = _outputs(bundle)
    known = {*outputs, *(value.name for value in model.graph.input)}
    given = [name for name in tensors if name not in known]
    shown.graph.output.extend(inferred[name] for name in given)
    with _saved(shown) as path:
        return _ObservingEngine(path, outputs, given, tensors, observe)


def open_runner(bundle: Bundle, model: "ModelProto", batch_size: int) -> Runner:
    """A runner of ``model`` in place of the bundle's program."""
    with _saved(model) as path:
        engine = OnnxRuntimeEngine(path, _outputs(bundle), _OPTIONS)
    if bundle.manifest.step is None:
        return ClipRunner([engine])
    return StepRunner(bundle, _OPTIONS, batch_size, engine)


def _outputs(bundle: Bundle) -> Sequence[str]:
    files = bundle.clip_files if bundle.manifest.step is None else bundle.step_files
    return files.outputs


@contextmanager
def _saved(model: "ModelProto") -> Iterator[Path]:
    """A file of a program, for as long as it takes to read it."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.onnx"
        onnx.save(model, str(path))
        yield path


def run_clips(runner: Runner, clips_BTCHW: np.ndarray) -> np.ndarray:
    """Logits [T, B, N] behind each frame of clips that begin together.

    Of a program of whole clips those behind the last frame alone, [1, B, N].
    """
    if isinstance(runner, ClipRunner):
        return runner.logits(clips_BTCHW)[None]
    runner.reset()
    frames = np.ascontiguousarray(clips_BTCHW.swapaxes(0, 1))
    return np.stack([runner.step(frame_BCHW) for frame_BCHW in frames])
