"""The parts of a training that Paddle's objects need: model, optimizer and loss scaler.

Optimizer state is keyed by structural parameter names, so it does not depend on what else was built
in the process.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from paddlevideo.tasks.stateful import State, Stateful, arrays_of
from paddlevideo.utils.damage import damage_of, shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import check_arrays, load_arrays, model_arrays
from paddlevideo.weights.fit import unusable_arrays


class ModelPart(Stateful):
    """Weights and running statistics of a recognizer."""

    def __init__(self, model: nn.Layer) -> None:
        self.model = model

    def state_dict(self) -> State:
        """Return the arrays by structural name."""
        return model_arrays(self.model)

    def tensors(self) -> Iterable[Tensor]:
        """Weights and running statistics."""
        return self.model.state_dict().values()

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` unless every array fits."""
        check_arrays(self.model, arrays_of(state), source)

    def load_state_dict(self, state: State, source: str) -> None:
        """Set every weight, or none."""
        load_arrays(self.model, arrays_of(state), source)


class OptimizerPart(Stateful):
    """Accumulators of an optimizer, ``{parameter/accumulator: array}``, and its class."""

    def __init__(self, optimizer: Optimizer, model: nn.Layer) -> None:
        self.optimizer = optimizer
        self.model = model

    @property
    def kind(self) -> str:
        """The optimizer's class."""
        return type(self.optimizer).__name__

    def state_dict(self) -> State:
        """Return the arrays, and the class as ``kind``."""
        return {"kind": self.kind, **optimizer_arrays(self.optimizer, self.model)}

    def tensors(self) -> Iterable[Tensor]:
        """Accumulators and master weights."""
        return _tensors_of(self.optimizer).values()

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` for the state of another optimizer or of another model."""
        self._converted(state, source)

    def load_state_dict(self, state: State, source: str) -> None:
        """Set every accumulator."""
        converted = self._converted(state, source)
        with damage_of(source, "the state of this optimizer"):
            self.optimizer.set_state_dict(converted)

    def _converted(self, state: State, source: str) -> dict[str, Tensor | dict[str, Tensor]]:
        written = state.get("kind")
        if written not in (None, self.kind):  # Paddle would start from zero without a word
            raise WeightsError(
                f"{source} has the state of another optimizer, {shown(written)}, and OPTIMIZER is "
                f"{self.kind}; to go on from the weights alone use -w"
            )
        return optimizer_state_of(self.model, arrays_of(state), source)


class ScalerPart(Stateful):
    """The scale of the loss under float16; nothing where losses are not scaled."""

    may_begin_anew = True

    def __init__(self, scaler: paddle.amp.GradScaler) -> None:
        self.scaler = scaler

    def state_dict(self) -> State:
        """Return Paddle's values by its own names."""
        return dict(self.scaler.state_dict())

    def load_state_dict(self, state: State, source: str) -> None:
        """Go on with the scale."""
        if state and self.scaler.is_enable():
            with damage_of(source, "the state of a loss scaler"):
                self.scaler.load_state_dict(dict(state))


_MASTER_WEIGHTS = "master_weights"  # in Paddle's state of an optimizer, {parameter: Tensor}
_MASTER = "master_weight"  # the same among the accumulators of a parameter


def optimizer_arrays(optimizer: Optimizer, model: nn.Layer) -> dict[str, np.ndarray]:
    """The optimizer's accumulators as ``{parameter/accumulator: array}``, structural names.

    Under mixed precision O2 the float32 weights that half weights are rounded from are among them,
    as ``parameter/master_weight``.
    """
    structural = {parameter.name: name for name, parameter in model.named_parameters()}
    arrays = {}
    for key, value in _tensors_of(optimizer).items():
        # One generated name may begin another: the longest is the owner's.
        owners = (name for name in structural if key.startswith(f"{name}_"))
        owner = max(owners, key=len, default=None)
        if owner is not None:
            arrays[f"{structural[owner]}/{key[len(owner) + 1 :]}"] = value.numpy()
    return arrays


def _tensors_of(optimizer: Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimizer's state by generated names, master weights among them."""
    state = optimizer.state_dict()
    found = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    masters = state.get(_MASTER_WEIGHTS, {})
    return found | {f"{name}_{_MASTER}": tensor for name, tensor in masters.items()}


def optimizer_state_of(
    model: nn.Layer, arrays: Mapping[str, np.ndarray], source: str
) -> dict[str, Tensor | dict[str, Tensor]]:
    """The state for ``optimizer.set_state_dict`` from what `optimizer_arrays` took.

    Raises:
        WeightsError: an entry belongs to no parameter of the model, has another shape, or holds
            what is no finite number.
    """
    generated = dict(model.named_parameters())
    state: dict[str, Tensor | dict[str, Tensor]] = {}
    masters: dict[str, Tensor] = {}
    for key, array in arrays.items():
        name, _, accumulator = key.partition("/")
        if name not in generated:
            raise WeightsError(f"{source}: the model has no parameter {shown(name)}")
        if array.dtype.kind not in "fiu" or unusable_arrays({key: array}):
            raise WeightsError(f"{source}: {shown(key)} is not of finite numbers")
        # One number for each of the parameter's, or one for the whole (a power of Adam's betas).
        if list(array.shape) != generated[name].shape and array.size != 1:
            raise WeightsError(f"{source}: {shown(key)} has the shape {shown(array.shape)}")
        own = generated[name].name
        if accumulator == _MASTER:
            masters[own] = paddle.to_tensor(array)
            # Paddle names the accumulators of a parameter after its master weight.
            masters[own].name = f"{own}_fp32_master_0"
        else:
            state[f"{own}_{accumulator}"] = paddle.to_tensor(array)
    return {**state, _MASTER_WEIGHTS: masters} if masters else state
