"""Weight decay as a term of the gradient: of which parameters, and before or after the clip.

An L2 term of the loss, ``value / 2 * sum(w^2)``, adds ``value * w`` to the gradient, and is clipped
with it: so TensorFlow trains MoViNet (docs/movinet.md). Paddle's own regularisers, and so
PaddleVideo, add the same term after the clip. Both are here; without a clip they are one.
"""

import fnmatch
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import paddle
from paddle import Tensor, nn
from paddle.nn.clip import ClipGradBase

from paddlevideo.utils.errors import ConfigError, shown
from paddlevideo.utils.registry import bind_arguments

_NORMALISATIONS = (
    *(nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm),
    *(nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1D, nn.InstanceNorm2D, nn.InstanceNorm3D),
)
ParametersAndGradients = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class WeightDecay:
    """The node ``weight_decay``: a number, or these keys.

    Attributes:
        name: ``L2`` adds ``value * w`` to the gradient, ``L1`` adds ``value * sign(w)``.
        parameters: ``all``, or the ``kernels`` that the recognizer names: no biases, batch norm
            or scalars, and not the classifier's.
        before_clip: the term is clipped with the gradient, as a part of the loss is.
    """

    name: Literal["L1", "L2"]
    value: float
    parameters: Literal["all", "kernels"] = "all"
    before_clip: bool = True


def parse_weight_decay(node: object, where: str) -> WeightDecay | None:
    """Check a ``weight_decay`` node; None without one.

    Raises:
        ConfigError: neither a number nor a mapping with the keys of `WeightDecay`.
    """
    if node is None:
        return None
    if is_number(node):
        node = {"name": "L2", "value": node}
    if not isinstance(node, Mapping) or not is_number(node.get("value")):
        raise ConfigError(
            f"{where}: expected a number or {{name: L1|L2, value: number}}, got {shown(node)}"
        )
    decay = WeightDecay(**bind_arguments(WeightDecay, node, where))
    if decay.value < 0.0:
        raise ConfigError(f"{where}: {decay.value} is negative: weights would grow without end")
    return decay


def decayed_names(
    decay: WeightDecay, model: nn.Layer, names: Collection[str], excluded: Collection[str]
) -> set[str]:
    """Return those of ``names`` that are decayed.

    Args:
        names: structural names of the trained parameters.
        excluded: parts of names of what is not decayed (``no_weight_decay_name``).
    """
    chosen = set(names)
    if decay.parameters == "kernels":
        chosen &= set(model.decayed_kernels())
    return {name for name in chosen if not any(part in name for part in excluded)}


def check_undecayed(node: object, where: str) -> list[str]:
    """Return ``no_weight_decay`` as a list; empty without one.

    Raises:
        ConfigError: it is no list of texts.
    """
    if node is None:
        return []
    if not isinstance(node, list) or not all(isinstance(item, str) and item for item in node):
        raise ConfigError(f"{where}: expected a list of bias, norm or patterns, got {shown(node)}")
    return list(node)


def undecayed_names(model: nn.Layer, node: object, where: str) -> set[str]:
    """The parameters that ``no_weight_decay`` leaves out, by structural name.

    Args:
        model: a recognizer.
        node: a list of ``bias`` (every parameter of that name, batch norm's included), ``norm``
            (weights and biases of normalisation layers) and patterns with ``*`` and ``?`` of
            structural names, such as ``head.classifier.*``.
        where: YAML path of the list, for messages.

    Raises:
        ConfigError: it is no such list, or an entry is about no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    found: set[str] = set()
    for item in check_undecayed(node, where):
        if item == "bias":
            own = {name for name in names if name.rpartition(".")[2] == "bias"}
        elif item == "norm":
            own = _normalisation_names(model)
        else:
            own = set(fnmatch.filter(names, item))
        if not own:
            raise ConfigError(
                f'{where}: no parameter of the model is meant by "{item[:100]}"; write bias, norm, '
                "or a pattern of a whole name, such as head.*"
            )
        found |= own
    return found


def _normalisation_names(model: nn.Layer) -> set[str]:
    return {
        f"{name}.{own}" if name else own
        for name, layer in model.named_sublayers(include_self=True)
        if isinstance(layer, _NORMALISATIONS)
        for own, _ in layer.named_parameters(include_sublayers=False)
    }


class DecayAndClip(ClipGradBase):
    """What an optimizer is given as its ``grad_clip``: adds the decay term, and clips.

    The optimizer calls it with the whole list of gradients when it is about to use them: after
    accumulation, after the exchange between processes, and unscaled.

    Args:
        decay: the term.
        names: Paddle's generated names of the decayed parameters.
        clip: of ``paddle.nn``, or None.
    """

    def __init__(
        self, decay: WeightDecay, names: Collection[str], clip: ClipGradBase | None
    ) -> None:
        super().__init__()
        self.decay = decay
        self.names = frozenset(names)
        self.clip = clip

    def __str__(self) -> str:
        order = "before" if self.decay.before_clip else "after"
        return f"{self.decay.name} decay {self.decay.value} {order} {self.clip}"

    @paddle.no_grad()
    def _dygraph_clip(self, params_grads: ParametersAndGradients) -> ParametersAndGradients:
        """Paddle's name for: return the list with gradients decayed and clipped."""
        if self.clip is None:
            return self._add_term(params_grads)
        if self.decay.before_clip:
            return self.clip(self._add_term(params_grads))
        return self._add_term(self.clip(params_grads))

    def _add_term(self, params_grads: ParametersAndGradients) -> ParametersAndGradients:
        return [
            (p, self._with_term(p, g) if g is not None and p.name in self.names else g)
            for p, g in params_grads
        ]

    def _with_term(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        weight = parameter
        if parameter.dtype != gradient.dtype:
            weight = parameter.astype(gradient.dtype)
        direction = weight if self.decay.name == "L2" else paddle.sign(weight)
        # In place on the new term: the gradient is the caller's, and a second new array would
        # take as long as the arithmetic.
        return paddle.scale(direction, self.decay.value).add_(gradient)


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number of YAML; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)
