"""Optimizers: any class of ``paddle.optimizer`` by name, its weight decay and clipping.

RMSProp is Paddle's own, whose update is PaddleVideo's and TensorFlow's: with g the gradient plus
the decay term, s = rho * s + (1 - rho) * g^2, m = momentum * m + lr * g / sqrt(s + epsilon),
w = w - m; epsilon is inside the root.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import paddle
from paddle import nn
from paddle.nn.clip import ClipGradBase

from paddlevideo.solver.layer_rates import check_layer_decay, rate_multipliers
from paddlevideo.solver.weight_decay import (
    DecayAndClip,
    WeightDecay,
    check_undecayed,
    decayed_names,
    is_number,
    parse_weight_decay,
    undecayed_names,
)
from paddlevideo.utils.errors import ConfigError, nearest_hint, shown
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.registry import bind_arguments

_CLIPS = {
    "ClipGradByGlobalNorm": nn.ClipGradByGlobalNorm,
    "ClipGradByNorm": nn.ClipGradByNorm,
    "ClipGradByValue": nn.ClipGradByValue,
}
# Optimizers that decay weights apart from the gradient: their arguments for number and filter.
_DECOUPLED = {
    paddle.optimizer.AdamW: ("weight_decay", "apply_decay_param_fun"),
    paddle.optimizer.Lamb: ("lamb_weight_decay", "exclude_from_weight_decay_fn"),
}
_BY_DEFAULT = WeightDecay("L2", 0.0)
_OWN_KEYS = (
    *("name", "learning_rate", "layer_decay", "grad_clip"),
    *("weight_decay", "no_weight_decay", "no_weight_decay_name"),
)


def check_optimizer(node: ReadNode, where: str) -> None:
    """Check names and arguments of an OPTIMIZER section without building."""
    optimizer_class = _optimizer_class(node, where)
    _plain_arguments(node, where)
    if "learning_rate" not in node:
        raise ConfigError(f"{where}: the key learning_rate is missing")
    decay = parse_weight_decay(node.get("weight_decay"), f"{where}.weight_decay")
    if optimizer_class in _DECOUPLED and decay is not None:
        if decay.name == "L1":
            raise ConfigError(
                f"{where}.weight_decay: {node['name']} has no L1 decay; give a number"
            )
        if isinstance(node["weight_decay"], Mapping) and node["weight_decay"].get("before_clip"):
            raise ConfigError(
                f"{where}.weight_decay.before_clip: {node['name']} decays the weights themselves, "
                "not through the gradient; remove the key"
            )
    undecayed = check_undecayed(node.get("no_weight_decay"), f"{where}.no_weight_decay")
    if undecayed and decay is None and optimizer_class not in _DECOUPLED:
        raise ConfigError(f"{where}.no_weight_decay has no effect without weight_decay; remove it")
    rate_decay = check_layer_decay(node.get("layer_decay"), f"{where}.layer_decay")
    if rate_decay != 1.0 and optimizer_class is paddle.optimizer.Rprop:
        raise ConfigError(f"{where}.layer_decay has no effect: Rprop finds its own step sizes")
    _grad_clip(node.get("grad_clip"), f"{where}.grad_clip")


def build_optimizer(node: ReadNode, model: nn.Layer, where: str) -> paddle.optimizer.Optimizer:
    """Build the optimizer of ``model``'s trainable parameters; the caller sets its rate.

    Keys of the section: ``name`` (a class of ``paddle.optimizer``) and its own arguments,
    ``learning_rate`` (a number or a schedule), ``weight_decay`` (a number, or the keys of
    `WeightDecay`), ``grad_clip`` (``{name, value}``), ``no_weight_decay`` (a list of ``bias``,
    ``norm`` and patterns of parameter names that are not decayed), ``no_weight_decay_name``
    (PaddleVideo's: parts of such names, separated by blanks), ``layer_decay`` (`layer_rates`).

    Raises:
        ConfigError: unknown optimizer or argument, with the YAML path.
    """
    optimizer_class = _optimizer_class(node, where)
    arguments = _plain_arguments(node, where)
    named = [(n, p) for n, p in model.named_parameters() if not p.stop_gradient]
    excluded = str(node.get("no_weight_decay_name") or "").split()
    for part in excluded:
        if not any(part in name for name, _ in model.named_parameters()):  # frozen ones too
            raise ConfigError(
                f'{where}.no_weight_decay_name: no parameter has "{part}" in its name'
            )
    undecayed = undecayed_names(model, node.get("no_weight_decay"), f"{where}.no_weight_decay")
    decay = parse_weight_decay(node.get("weight_decay"), f"{where}.weight_decay")
    clip = _grad_clip(node.get("grad_clip"), f"{where}.grad_clip")
    parameters = dict(named)
    decayed = decayed_names(decay or _BY_DEFAULT, model, list(parameters), excluded) - undecayed
    at = f"{where}.layer_decay"
    rates = rate_multipliers(model, check_layer_decay(node.get("layer_decay"), at), at)
    for name, parameter in named:
        # Not by Paddle's groups of parameters: there a clip would see each group by itself.
        parameter.optimize_attr["learning_rate"] = rates[name]
    if optimizer_class in _DECOUPLED:
        kept = {p.name for n, p in named if n not in decayed}
        arguments.update(_decoupled_decay(optimizer_class, decay, kept))
    elif decay is not None:
        clip = DecayAndClip(decay, [parameters[name].name for name in decayed], clip)
    return optimizer_class(
        learning_rate=0.0, parameters=list(parameters.values()), grad_clip=clip, **arguments
    )


def create_state(optimizer: paddle.optimizer.Optimizer) -> None:
    """Give every parameter its state now, and not at its first gradient.

    For a training in which some have no gradient at first: a state that lacks them could not be
    gone on with, as Paddle wants all of it as soon as the first one is used.
    """
    trained = [p for p in optimizer._parameter_list if not p.stop_gradient]
    block = paddle.static.default_main_program().global_block()  # what Paddle's own step gives
    optimizer._create_accumulators(block, trained)


def _optimizer_class(node: ReadNode, where: str) -> Callable[..., object]:
    none = (paddle.optimizer.Optimizer, paddle.optimizer.LBFGS)  # LBFGS repeats the forward pass
    known = {
        name: item
        for name, item in vars(paddle.optimizer).items()
        if isinstance(item, type) and issubclass(item, none[0]) and item not in none
    }
    name = node.get("name")
    if not isinstance(name, str) or name not in known:
        raise ConfigError(
            f'{where}.name: unknown optimizer "{str(name)[:100]}"; {nearest_hint(str(name), known)}'
        )
    return known[name]


def _plain_arguments(node: ReadNode, where: str) -> Node:
    """The arguments that go to the optimizer's constructor as they are."""
    arguments = {key: value for key, value in node.items() if key not in _OWN_KEYS}
    context = ("learning_rate", "parameters", "grad_clip", "weight_decay", "self")
    try:
        return bind_arguments(_optimizer_class(node, where), arguments, where, context)
    except NameError as error:
        raise ConfigError(f"{where}: {error}") from error


def _grad_clip(node: Any, where: str) -> ClipGradBase | None:
    if node is None:
        return None
    if is_number(node):
        return nn.ClipGradByGlobalNorm(float(node))
    if _is_named_number(node, _CLIPS):
        return _CLIPS[node["name"]](float(node["value"]))
    raise ConfigError(
        f"{where}: expected {{name, value}} with name one of {', '.join(_CLIPS)}, got {shown(node)}"
    )


def _is_named_number(node: object, names: Collection[str]) -> bool:
    """Whether ``node`` is ``{name: one of names, value: number}``."""
    return (
        isinstance(node, Mapping)
        and set(node) == {"name", "value"}
        and node["name"] in list(names)
        and is_number(node["value"])
    )


def _decoupled_decay(
    optimizer_class: Callable[..., object], decay: WeightDecay | None, kept: set[str]
) -> Node:
    """AdamW and Lamb decay the weights themselves, by a number and a filter on Paddle's names.

    Without a number Paddle's default holds.
    """
    value_key, filter_key = _DECOUPLED[optimizer_class]
    arguments: Node = {}
    if decay is not None:
        arguments[value_key] = decay.value
    if kept and optimizer_class is paddle.optimizer.Lamb:
        arguments[filter_key] = lambda parameter: parameter.name in kept
    elif kept:
        arguments[filter_key] = lambda name: name not in kept
    return arguments
