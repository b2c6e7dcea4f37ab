"""Layer-wise decay of the learning rate: the nearer the input, the smaller the rate.

The recognizer's stages (``freezable_stages``, in the order of its forward pass) give the depth.
What lies in no stage, the layer that follows the number of classes, has the schedule's rate; each
stage has ``layer_decay`` times the rate of the one after it: with K stages that have parameters of
their own, stage k (from 0) has the rate ``learning_rate * layer_decay ** (K - k)``. So pretrained
layers near the input, whose features are general, move least (BEiT, arXiv 2106.08254, section 3.1,
fine-tunes by this rule).
"""

from paddle import nn

from paddlevideo.utils.errors import ConfigError, shown


def check_layer_decay(value: object, where: str) -> float:
    """Return ``layer_decay`` as a number; 1.0 without one.

    Raises:
        ConfigError: it is not in (0, 1].
    """
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value <= 1.0:
        raise ConfigError(f"{where}: expected a number above 0 and at most 1, got {shown(value)}")
    return float(value)


def rate_multipliers(model: nn.Layer, layer_decay: float, where: str) -> dict[str, float]:
    """What the rate of each parameter is multiplied by, by structural name.

    Args:
        model: a recognizer.
        where: YAML path of ``layer_decay``, for messages.

    Raises:
        ConfigError: the model names no stages, so that all would have the same rate.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    if layer_decay == 1.0:
        return dict.fromkeys(names.values(), 1.0)
    stage_of: dict[str, int] = {}
    num_stages = 0
    for layers in model.freezable_stages().values():
        own = {names[id(p)] for layer in layers for p in layer.parameters()} - set(stage_of)
        if own:
            stage_of |= dict.fromkeys(own, num_stages)
            num_stages += 1
    if not num_stages:
        raise ConfigError(f"{where}: the model names no stages, so that this would do nothing")
    return {
        name: layer_decay ** (num_stages - stage_of.get(name, num_stages))
        for name in names.values()
    }
