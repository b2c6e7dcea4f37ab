"""Run variants of a bundle's step program over whole clips, the states handed on."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions, OnnxRuntimeEngine
from paddlevideo.runtime.engines.base import EngineTensor
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError

if TYPE_CHECKING:
    from onnx import ModelProto

Observe = Callable[[str, np.ndarray], None]

_OPTIONS = EngineOptions(device="cpu", engine="onnxruntime")


def load_step_graph(bundle: Bundle) -> "ModelProto":
    """The step program of ``bundle`` as an ``onnx.ModelProto``.

    Raises:
        BundleError: it has none as ONNX, one for a fixed number of streams, or weights that are not
            float32.
    """
    path, folder = bundle.step_files.onnx, bundle.folder
    step = bundle.manifest.step
    if step is not None and step.precision != "fp32":
        raise BundleError(
            f"{folder} holds {step.precision} weights already; quantise the fp32 bundle "
            "of the same model"
        )
    if path is None or step is None:
        raise BundleError(
            f"{folder} holds no step program as ONNX, which is what is quantised; export with "
            "--format paddle,onnx"
        )
    if step.inputs[0].shape[0] != -1:
        raise BundleError(
            f"{folder} was exported for {step.inputs[0].shape[0]} streams at a time; to quantise "
            "it, export with --batch dynamic"
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
) -> StepRunner:
    """A runner of one stream that shows ``tensors`` of every step to ``observe``."""
    import onnx

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    outputs = bundle.step_files.outputs
    known = {*outputs, *(value.name for value in model.graph.input)}
    given = [name for name in tensors if name not in known]
    # An output has to have a shape.
    inferred = {
        value.name: value for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    shown.graph.output.extend(inferred[name] for name in given)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "observed.onnx"
        onnx.save(shown, str(path))
        engine = _ObservingEngine(path, outputs, given, tensors, observe)
    return StepRunner(bundle, _OPTIONS, 1, engine)


def open_runner(bundle: Bundle, model: "ModelProto", batch_size: int) -> StepRunner:
    """A runner of ``model`` in place of the bundle's step program."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.onnx"
        onnx.save(model, str(path))
        engine = OnnxRuntimeEngine(path, bundle.step_files.outputs, _OPTIONS)
    return StepRunner(bundle, _OPTIONS, batch_size, engine)


def run_clips(runner: StepRunner, clips_BTCHW: np.ndarray) -> np.ndarray:
    """Logits [T, B, N] behind each frame of clips that begin together."""
    runner.reset()
    frames = np.ascontiguousarray(clips_BTCHW.swapaxes(0, 1))
    return np.stack([runner.step(frame_BCHW) for frame_BCHW in frames])
