"""Knowledge distillation (config section ``DISTILL``): a trained model teaches the one in training.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section
2. With logits s of the student and t of the teacher for the same clip, and temperature T,

    loss = (1 - alpha) * (the student's own loss)
           + alpha * T^2 * mean over the batch of KL(softmax(t / T) || softmax(s / T)).

T^2 keeps the gradient of the second term, (softmax(s / T) - softmax(t / T)) * T / batch, as large
as that of the first when T changes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import paddle
import paddle.nn.functional as F
import pydantic
from paddle import Tensor, nn
from pydantic import JsonValue

from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.tasks.stateful import State, Stateful, checked_state
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.weights import model_arrays

Size = tuple[int, int]  # height, width


class DistillSection(pydantic.BaseModel):
    """DISTILL: the teacher, and how much it says.

    Attributes:
        teacher: a config (a file, or the name of a shipped one), the folder of a run, or a bundle.
        weights: of the teacher, as ``-w``; by default the best ones of a run, those of a bundle.
        temperature: T; above 1 it shows how the teacher ranks wrong classes.
        alpha: share of the teacher in the loss; 1: labels are not used.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    teacher: str
    weights: str | None = None
    temperature: Annotated[float, pydantic.Field(gt=0.0, le=100.0)] = 4.0
    alpha: Annotated[float, pydantic.Field(gt=0.0, le=1.0)] = 0.5


@dataclass(frozen=True)
class Teacher:
    """A trained model that teaches.

    Attributes:
        model: in evaluation mode, without gradients.
        sizes: height and width that its own clips have, by input; where they are missing it sees
            the student's as they are.
        class_names: in label order; None: not known.
        source: the model and where its weights are from, for messages.
    """

    model: Recognizer
    sizes: Mapping[str, Size]
    class_names: Sequence[str] | None
    source: str

    def __post_init__(self) -> None:
        self.model.eval()
        for parameter in self.model.parameters():
            parameter.stop_gradient = True

    def check_student(self, student: Recognizer, names: Sequence[str] | None) -> None:
        """Raise `ConfigError` unless it can teach ``student``, whose classes have these names."""
        ours, theirs = student.num_classes, self.model.num_classes
        if ours != theirs:
            raise ConfigError(
                f"DISTILL.teacher: {self.source} has {theirs} classes, the model {ours}; they must "
                "be the same ones in the same order"
            )
        if names is not None and self.class_names is not None:
            wrong = [k for k in range(ours) if names[k] != self.class_names[k]]
            if wrong:
                first = wrong[0]
                raise ConfigError(
                    f"DISTILL.teacher: class {first} of {self.source} is "
                    f'"{self.class_names[first]}", of the training data "{names[first]}"; the '
                    "classes must be the same ones in the same order"
                )
        specs, own = student.input_specs(), self.model.input_specs()
        missing = [name for name in own if name not in specs]
        if missing:
            raise ConfigError(
                f"DISTILL.teacher: {self.source} takes {', '.join(own)}, the model "
                f"{', '.join(specs)}: it sees the clips of the model, so it cannot take others"
            )
        scaled = [name for name in own if own[name].dtype != specs[name].dtype]
        if scaled:
            raise ConfigError(
                f"DISTILL.teacher: {self.source} and the model differ in who scales the values of "
                f"{scaled[0]}, the pipeline or the model (MODEL.scaling); make them alike"
            )

    @paddle.no_grad()
    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits [B, classes] of the student's clips, resized on the device where sizes differ."""
        clips = [_resized(batch[name], self.sizes.get(name)) for name in self.model.input_specs()]
        return self.model(*clips).astype("float32")


class DistilledLoss(nn.Layer):
    """What a step differentiates in place of the recognizer's loss.

    Args:
        model: the recognizer that is trained; the only parameters here are its own.
        teacher: teaches it.
        section: temperature and share.
    """

    def __init__(self, model: nn.Layer, teacher: Teacher, section: DistillSection) -> None:
        super().__init__()
        self.model = model
        self.teacher = teacher
        self.section = section

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``loss`` and ``logits`` of a batch."""
        result = self.model.loss(batch)
        taught = distillation_loss(
            result["logits"], self.teacher.logits(batch), self.section.temperature
        )
        alpha = self.section.alpha
        return {**result, "loss": (1.0 - alpha) * result["loss"] + alpha * taught}


def distillation_loss(student_BN: Tensor, teacher_BN: Tensor, temperature: float) -> Tensor:
    """T^2 times the mean of KL(teacher || student) at ``temperature``, in float32."""
    log_s_BN = F.log_softmax(student_BN.astype("float32") / temperature, axis=-1)
    log_t_BN = F.log_softmax(teacher_BN.astype("float32") / temperature, axis=-1)
    divergence_B = (log_t_BN.exp() * (log_t_BN - log_s_BN)).sum(axis=-1)
    return temperature**2 * divergence_B.mean()


class _TeacherState(pydantic.BaseModel):
    digest: str


class TeacherPart(Stateful):
    """Which weights taught: a run goes on with the same ones. They themselves are not saved."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.digest = _digest(model_arrays(teacher.model))

    def state_dict(self) -> State:
        """Return the digest."""
        values: dict[str, JsonValue] = {"digest": self.digest}
        return values

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` for another teacher."""
        if checked_state(_TeacherState, state, source).digest != self.digest:
            raise WeightsError(
                f"{source} was trained with other weights of the teacher than {self.teacher.source}"
                "; give DISTILL what it had, or start anew with -w"
            )

    def load_state_dict(self, state: State, source: str) -> None:
        """Take nothing but the check."""
        self.check_state(state, source)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _resized(clip_BTCHW: Tensor, size: Size | None) -> Tensor:
    """The clip with frames of ``size``, bilinear, values as they were (0 to 255 stay so)."""
    batch, frames, channels, height, width = clip_BTCHW.shape
    if size is None or size == (height, width):
        return clip_BTCHW
    images = clip_BTCHW.astype("float32").reshape([batch * frames, channels, height, width])
    images = F.interpolate(images, size=list(size), mode="bilinear", align_corners=False)
    return images.reshape([batch, frames, channels, *size])
