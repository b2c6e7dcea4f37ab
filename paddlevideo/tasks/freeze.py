"""Freezing the first stages of a model while the rest is trained (config key ``freeze``).

The recognizer names its stages (``freezable_stages``), in the order of its forward pass; a name
freezes its own layers and those of every stage before it. Freezing is about one training, not
about the network: the model that is saved, tested or exported is the same.
"""

from collections.abc import Iterator

from paddle import Tensor, nn

from paddlevideo.utils.errors import ConfigError, nearest_hint


def frozen_layers(model: nn.Layer, freeze: str | None) -> list[nn.Layer]:
    """Return the layers that ``freeze`` names; none without it.

    Raises:
        ConfigError: the model has no stage of that name.
    """
    if freeze is None:
        return []
    stages = model.freezable_stages()
    if freeze not in stages:
        hint = nearest_hint(freeze, stages)
        raise ConfigError(f'freeze: the model has no stage "{freeze}"; {hint}')
    layers: list[nn.Layer] = []
    for name, own in stages.items():
        layers += own
        if name == freeze:
            break
    return layers


class FrozenStages:
    """The frozen part of a model: no gradient, and always in evaluation mode.

    Args:
        model: a recognizer; its frozen parameters get no gradient from now on, so an optimizer
            built after this does not know them.
        freeze: a name of ``model.freezable_stages()``, or None.

    Raises:
        ConfigError: the model has no stage of that name.
    """

    def __init__(self, model: nn.Layer, freeze: str | None) -> None:
        self.model = model
        # Paddle keeps running statistics among the parameters, without a gradient.
        self._statistics = [tensor for tensor in model.parameters() if tensor.stop_gradient]
        self.layers = frozen_layers(model, freeze)
        for layer in self.layers:
            for parameter in layer.parameters():
                parameter.stop_gradient = True

    def train_rest(self) -> None:
        """Put the model into training mode, the frozen part into evaluation mode.

        There batch norm uses its running statistics and leaves them as they are, and dropout and
        stochastic depth are off.
        """
        self.model.train()
        for layer in self.layers:
            layer.eval()

    def moving_statistics(self) -> Iterator[Tensor]:
        """The running statistics that training changes: those of layers not frozen."""
        frozen = {id(p) for layer in self.layers for p in layer.parameters()}
        return (tensor for tensor in self._statistics if id(tensor) not in frozen)
