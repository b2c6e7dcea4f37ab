"""An exponential moving average of the weights (config section ``EMA``), evaluated in their place.

After each update, with n updates so far (this one counted):

    average = average - (1 - d) * (average - weight),    d = decay,
    or with ``dynamic_decay``                            d = min(decay, (1 + n) / (10 + n)).

The formulas are those of TensorFlow's ``tf.train.ExponentialMovingAverage`` (its ``num_updates``).
Running statistics are averaged as weights are. The average lies on the device, in float32.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import numpy as np
import paddle
import pydantic
from paddle import Tensor, nn

from paddlevideo.modeling.distributed import average_in_place, is_main
from paddlevideo.tasks.hooks import Hook, StepEnd, Training
from paddlevideo.tasks.stateful import State, Stateful, arrays_of, checked_state, values_of
from paddlevideo.tasks.statistics_part import StatisticsPart
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import check_arrays, write_weights

_NORM = nn.layer.norm._BatchNormBase
_ROWS = "process_rows"  # running statistics of each process, beside the averages


class AverageSection(pydantic.BaseModel):
    """EMA: a moving average of the weights is validated and saved as the best.

    Attributes:
        decay: share of the average that an update keeps.
        dynamic_decay: less of it in the first updates, so that the average soon forgets the start.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    decay: Annotated[float, pydantic.Field(gt=0.0, lt=1.0)] = 0.9999
    dynamic_decay: bool = True


class _Values(pydantic.BaseModel):
    num_updates: int = pydantic.Field(ge=0, lt=2**63)


class WeightAverage(Hook, Stateful):
    """The average of a model's weights and running statistics.

    Args:
        model: the recognizer; the average begins as its weights when training starts.
        section: decay.
        name: of the run's files.

    Attributes:
        num_updates: updates averaged so far.
    """

    may_begin_anew = True

    def __init__(self, model: nn.Layer, section: AverageSection, name: str) -> None:
        self.model = model
        self.section = section
        self.name = name
        self.num_updates = 0
        self._averages: dict[str, Tensor] = {}
        self._followed: list[tuple[Tensor, Tensor]] = []
        self._of_processes = StatisticsPart(lambda: [a for _, a in self._statistics()])

    def decay(self) -> float:
        """The share that is kept of the average by the newest update."""
        n, decay = self.num_updates, self.section.decay
        return min(decay, (1 + n) / (10 + n)) if self.section.dynamic_decay else decay

    def on_train_start(self, training: Training) -> None:
        """Begin as the weights are, unless it was resumed."""
        if not self._averages:
            self._take({name: tensor.numpy() for name, tensor in self._pairs_of_model()})

    @paddle.no_grad()
    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """Follow the weights."""
        if not step.updated:
            return
        self.num_updates += 1
        share = 1.0 - self.decay()
        if not self._followed:  # once: it takes longer than the arithmetic of small layers
            self._followed = [(t, self._averages[name]) for name, t in self._pairs_of_model()]
        for tensor, average in self._followed:
            weight = tensor if tensor.dtype == average.dtype else tensor.astype(average.dtype)
            # What is equal stays equal to the bit: a frozen layer's average does not drift.
            average.add_((weight - average).scale_(share))

    def on_epoch_end(self, training: Training) -> None:
        """Give every process the same running statistics; write the average beside the weights."""
        position, recipe = training.position, training.recipe
        if position.step:
            return  # cut: each process goes on with its own
        average_in_place([average for _, average in self._statistics()])
        done = position.epochs_begun
        if is_main() and (done % recipe.save_interval == 0 or done == recipe.epochs):
            path = training.folder / f"{self.name}_epoch_{done:05d}_ema.pdparams"
            with self.in_model():
                arrays = {name: t.numpy() for name, t in self.model.state_dict().items()}
            write_weights(path, arrays)

    @contextlib.contextmanager
    def evaluation_weights(self, training: Training) -> Iterator[None]:
        """Within this block the model has the average."""
        with self.in_model():
            yield

    @contextlib.contextmanager
    def in_model(self, keep_statistics: bool = False) -> Iterator[None]:
        """Within this block the model has the average; afterwards its own weights, bit by bit.

        Args:
            keep_statistics: running statistics that are changed in the block become the average's.
        """
        pairs = list(self._pairs_of_model())
        with paddle.no_grad():
            kept = [tensor.clone() for _, tensor in pairs]
            for name, tensor in pairs:
                _copy(self._averages[name], tensor)
        try:
            yield
        finally:
            with paddle.no_grad():
                if keep_statistics:
                    for tensor, average in self._statistics():
                        _copy(tensor, average)
                for (_, tensor), own in zip(pairs, kept, strict=True):
                    _copy(own, tensor)

    def gather(self) -> None:
        """Collect the running statistics of all processes."""
        self._of_processes.gather()

    def tensors(self) -> Iterable[Tensor]:
        """The averages."""
        return self._averages.values()

    def state_dict(self) -> State:
        """Return the averages by the names of the weights, and the number of updates."""
        rows = arrays_of(self._of_processes.state_dict())
        return {
            "num_updates": self.num_updates,
            **{name: average.numpy() for name, average in self._averages.items()},
        } | ({_ROWS: rows["rows"]} if rows else {})

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` unless it is an average of this model."""
        checked_state(_Values, values_of(state), source)
        arrays = {name: array for name, array in arrays_of(state).items() if name != _ROWS}
        own = dict(self._pairs_of_model())
        if set(arrays) != set(own):
            raise WeightsError(f"{source} is no average of the weights of this model")
        check_arrays(self.model, {**_not_averaged(self.model), **arrays}, source)

    def load_state_dict(self, state: State, source: str) -> None:
        """Go on with the average."""
        self.check_state(state, source)
        arrays = dict(arrays_of(state))
        rows = arrays.pop(_ROWS, None)
        self.num_updates = checked_state(_Values, values_of(state), source).num_updates
        self._take(arrays)
        if rows is not None:
            self._of_processes.load_state_dict({"rows": rows}, source)

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._followed = []
        self._averages = {
            name: paddle.to_tensor(array.astype("float32")) for name, array in arrays.items()
        }

    def _pairs_of_model(self) -> Iterator[tuple[str, Tensor]]:
        """What is averaged: everything in the weights that is a fraction."""
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                yield name, tensor

    def _statistics(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The running statistics of batch norm and other buffers, and their averages."""
        norms = [
            part for part in self.model.sublayers(include_self=True) if isinstance(part, _NORM)
        ]
        tensors = [tensor for norm in norms for tensor in (norm._mean, norm._variance)]
        names = {tensor.name for tensor in (*tensors, *self.model.buffers())}
        for name, tensor in self._pairs_of_model():
            if tensor.name in names:
                yield tensor, self._averages[name]


def _not_averaged(model: nn.Layer) -> dict[str, np.ndarray]:
    return {n: t.numpy() for n, t in model.state_dict().items() if not t.is_floating_point()}


def _copy(source: Tensor, target: Tensor) -> None:
    """Copy values on the device into the memory of ``target``, in its own precision."""
    paddle.assign(source.astype(target.dtype), output=target)
