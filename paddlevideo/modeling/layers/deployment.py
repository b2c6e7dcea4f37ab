"""The deployed forms of layers: what they share, and what a step's layers share while it runs.

A deployed program is a network of its own for clips, or for frames, of one size: nothing in it has
more than four axes, so that every engine and phone runtime takes it, and batch norm is folded into
weights. In a *clip program* the frames are rows of the batch, so every convolution is a 2-D one,
which engines have fast kernels for. In a *step program* there is one frame, and its past comes as
states (`QueueSpec`). Each layer makes its own deployed form by a method ``deployed``; forms are
called with their input and the `StepContext` (None in a clip program).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.activations import Activation, activation, as_one_operation
from paddlevideo.modeling.layers.positions import digits_of
from paddlevideo.modeling.layers.running_sum import compensated_sum
from paddlevideo.modeling.states import QueueSpec, StateSpec

FRAME_COUNT = QueueSpec("frame_count", 1, (1, 1, 1), "int32")


@dataclass(frozen=True)
class Deployment:
    """The program that a layer is deployed in.

    Attributes:
        num_frames: T of the clips of a clip program; None: a step program.
    """

    num_frames: int | None = None

    @property
    def channel_axis(self) -> int:
        """The axis of channels in what `by_frame` gives."""
        return 1 if self.num_frames is None else 2

    def activation(self, name: str) -> Activation:
        """Return the activation; one that oneDNN makes part of a convolution where there is one."""
        operation, factor = as_one_operation(name)
        return activation(name) if self.num_frames is None or factor != 1.0 else operation

    def by_frame(self, pooled_NC11: Tensor) -> Tensor:
        """Vectors as layers over time take them: [B, T, C] of a clip; of a frame as they are."""
        if self.num_frames is None:
            return pooled_NC11
        return pooled_NC11.reshape([-1, self.num_frames, pooled_NC11.shape[1]])

    def as_maps(self, vectors: Tensor) -> Tensor:
        """Undo `by_frame`: [N, C, 1, 1], a row for each vector."""
        if self.num_frames is None:
            return vectors
        return vectors.reshape([-1, vectors.shape[2], 1, 1])


class StepContext:
    """Old states by name, new states, and the frame's number, during one step."""

    def __init__(self, old: Mapping[str, Sequence[Tensor]]) -> None:
        self.old = old
        count = old[FRAME_COUNT.name][0]
        # A tensor, not a number: Paddle Inference names the two outputs of a sum alike.
        new_count = count + paddle.full([1, 1, 1, 1], 1, "int32")
        self.new: dict[str, Tensor] = {FRAME_COUNT.name: new_count}
        self._position = count.astype("float32")
        self._digits: list[Tensor] = []
        # Not 1 / x: Paddle asks for the batch size there, which Paddle2ONNX cannot convert.
        self.inverse_count = paddle.reciprocal(self._position + 1.0)

    def digits(self) -> list[Tensor]:
        """Those of the frame's number, made once; see `positions`."""
        self._digits = self._digits or digits_of(self._position)
        return self._digits

    def add(self, sum_name: str, rest_name: str, frame: Tensor) -> Tensor:
        """Add this frame to a running sum and return it; see `RunningMean`."""
        old_sum, old_rest = self.old[sum_name][0], self.old[rest_name][0]
        self.new[sum_name], self.new[rest_name] = compensated_sum(old_sum, old_rest, frame)
        return self.new[sum_name]


class FoldedStep(nn.Layer):
    """A deployed network with the states of its layers as queues.

    Args:
        network: from a frame of pixels and a `StepContext` to [B, C, 1, 1].
        specs: the states of the network that it was made of. A buffer [C, T, H, W] becomes a queue
            of T frames and a vector [C] a map; all counters of frames are equal, so there is one.
    """

    def __init__(self, network: nn.Layer, specs: Sequence[StateSpec]) -> None:
        super().__init__()
        self.network = network
        self.queues = [FRAME_COUNT]
        for spec in specs:
            if len(spec.shape) == 4:
                channels, length, *size = spec.shape
                self.queues.append(QueueSpec(spec.name, length, (channels, *size)))
            elif spec.shape:
                self.queues.append(QueueSpec(spec.name, 1, (*spec.shape, 1, 1)))

    def forward(self, frame_BCHW: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return [B, C, 1, 1], and the newest tensor of every queue in the order of ``queues``.

        Args:
            states: of each queue, in order, its tensors from the oldest to the newest.
        """
        old, start = {}, 0
        for queue in self.queues:
            old[queue.name] = list(states[start : start + queue.length])
            start += queue.length
        context = StepContext(old)
        pooled = self.network(frame_BCHW, context)
        return pooled, [context.new[queue.name] for queue in self.queues]
