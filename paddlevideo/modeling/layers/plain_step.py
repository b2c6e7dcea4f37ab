"""One step of any streaming network as it is, to be exported."""

from collections.abc import Sequence

from paddle import Tensor, nn

from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.states import QueueSpec, StateExchange, StateSpec


class PlainStep(nn.Layer):
    """A frame [B, 3, H, W] of pixels and states to features [B, C, 1, 1] and the new states.

    Args:
        network: from scaled clips [B, 3, T, H, W] and a `StateExchange` to [B, C].
        specs: its states, in the order in which they are taken and given.
        scaling: of the pixels' values.
    """

    def __init__(
        self, network: nn.Layer, specs: Sequence[StateSpec], scaling: InputScaling
    ) -> None:
        super().__init__()
        self.network, self.scaling = network, scaling
        self.queues = [QueueSpec(spec.name, 1, spec.shape, spec.dtype) for spec in specs]

    def forward(self, frame_BCHW: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the features, and the new state of every queue in order."""
        names = [queue.name for queue in self.queues]
        exchange = StateExchange(dict(zip(names, states, strict=True)))
        features = self.network(self.scaling(frame_BCHW.unsqueeze(1)), exchange)
        maps = features.reshape([-1, features.shape[1], 1, 1])
        return maps, [exchange.new[name] for name in names]
