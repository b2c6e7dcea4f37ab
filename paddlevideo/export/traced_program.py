"""A network on its way into a file: what it takes and gives, and Paddle's trace of it."""

import warnings
from pathlib import Path

import paddle
from paddle import Tensor, nn

from paddlevideo.export.half_weights import HalfWeights
from paddlevideo.runtime.manifest import ClipProgram, StepProgram
from paddlevideo.utils.errors import BundleError


class TracedProgram:
    """A network that exporters write; they begin with Paddle's files of it.

    Args:
        network: takes the tensors of ``spec`` in order, those of the states behind the frame.
        spec: what it takes and gives, and the precision that its weights are to be stored in.
        name: of the files, without an ending.
        folder: for Paddle's files.
    """

    def __init__(
        self, network: nn.Layer, spec: ClipProgram | StepProgram, name: str, folder: Path
    ) -> None:
        self.network = network.eval()
        self.spec = spec
        self.name = name
        self._folder = folder
        self._traced: dict[bool, tuple[Path, Path]] = {}

    def paddle_files(self, half: bool = False) -> tuple[Path, Path]:
        """The program and its weights as Paddle writes them, to be left as they are.

        Args:
            half: store the weights as float16.
        """
        if half not in self._traced:
            folder = self._folder / ("half" if half else "whole")
            folder.mkdir(parents=True, exist_ok=True)
            network = HalfWeights(self.network) if half else self.network
            _save(_Traced(network), self._inputs(), folder / self.name)
            names = [file.name for file in folder.iterdir()]
            endings = ((".json", ".pdmodel"), (".pdiparams",))
            program, params = (_one(names, [self.name + end for end in ends]) for ends in endings)
            self._traced[half] = folder / program, folder / params
        return self._traced[half]

    def _inputs(self) -> list[paddle.static.InputSpec]:
        inputs = [(spec.shape, spec.dtype, spec.name) for spec in self.spec.inputs]
        if isinstance(self.spec, StepProgram):
            inputs += [(q.shape, q.dtype, name) for q in self.spec.queues for name in q.inputs]
        return [paddle.static.InputSpec(list(shape), *more) for shape, *more in inputs]


class _Traced(nn.Layer):
    """The part of a recognizer that is exported.

    Run as it is: its control flow does not depend on values, and Paddle's rewriting of every
    layer's source takes ten times as long as the export itself.
    """

    def __init__(self, network: nn.Layer) -> None:
        super().__init__()
        self.network = network

    @paddle.jit.not_to_static
    def forward(self, inputs: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
        return self.network(*inputs)  # one list: Paddle cannot trace a function of any arguments


def _save(layer: nn.Layer, inputs: list[paddle.static.InputSpec], path: Path) -> None:
    with warnings.catch_warnings():
        # Paddle's own code asks a tensor of the program for its place, and warns of that.
        warnings.filterwarnings("ignore", "Tensor do not have 'place' interface", UserWarning)
        program = paddle.jit.to_static(layer, input_spec=[inputs], full_graph=True)
        paddle.jit.save(program, str(path))


def _one(names: list[str], candidates: list[str]) -> str:
    for candidate in candidates:
        if candidate in names:
            return candidate
    raise BundleError(f"Paddle wrote none of {', '.join(candidates)}; it wrote {', '.join(names)}")
