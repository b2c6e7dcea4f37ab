"""`Stateful`: what a checkpoint holds is what the parts of a training give it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import pydantic
from paddle import Tensor
from pydantic import JsonValue

from paddlevideo.utils.errors import WeightsError

# Arrays go into a safetensors file of the part, the rest into the JSON of the checkpoint.
State = Mapping[str, np.ndarray | JsonValue]

Model = TypeVar("Model", bound=pydantic.BaseModel)


class Stateful(ABC):
    """A part of the training whose state is saved and restored under the part's name.

    Attributes:
        may_begin_anew: whether a run may go on from a checkpoint without a state of this part.
    """

    may_begin_anew: bool = False

    @abstractmethod
    def state_dict(self) -> State:
        """Return arrays and JSON values by name, copies; called in the main process alone."""

    @abstractmethod
    def load_state_dict(self, state: State, source: str) -> None:
        """Take a state that `state_dict` gave; called in every process before training starts.

        Args:
            source: file or folder of the state, for messages.

        Raises:
            WeightsError: it does not fit; nothing was taken.
        """

    def gather(self) -> None:
        """Collect from all processes what the main one saves; called in every process.

        Before each `state_dict`. It may use collectives, and must not change the training.
        """
        return

    def tensors(self) -> Iterable[Tensor]:
        """Tensors on the device that must be finite, or nothing is saved; the same everywhere.

        They are looked at in every process before each save, where they lie.
        """
        return ()

    def check_state(self, state: State, source: str) -> None:
        """Raise what `load_state_dict` would, and change nothing: then no part is loaded at all."""
        return


def arrays_of(state: State) -> dict[str, np.ndarray]:
    """The arrays of a state."""
    return {name: value for name, value in state.items() if isinstance(value, np.ndarray)}


def values_of(state: State) -> dict[str, JsonValue]:
    """The JSON values of a state."""
    return {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}


def checked_state(model: type[Model], state: State, source: str) -> Model:
    """Return the state as a pydantic model, which says what it must hold.

    Raises:
        WeightsError: it holds something else.
    """
    try:
        return model.model_validate(dict(state))
    except pydantic.ValidationError as error:
        raise not_a_state(error, source) from None


def not_a_state(error: pydantic.ValidationError, source: str) -> WeightsError:
    """The error about a file that holds no training state."""
    first = error.errors()[0]
    at = ".".join(map(str, first["loc"]))[:100]
    return WeightsError(f"{source} cannot be read as a training state: {at}: {first['msg'][:200]}")
