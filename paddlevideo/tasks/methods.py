"""The hooks of the training methods that a recipe asks for: an average, precise batch norm."""

from dataclasses import dataclass, field

from paddle import nn

from paddlevideo.loader import ClipLoader
from paddlevideo.tasks.average import WeightAverage
from paddlevideo.tasks.build import build_loader, build_split
from paddlevideo.tasks.distill import Teacher, TeacherPart
from paddlevideo.tasks.hooks import Hook
from paddlevideo.tasks.precise_bn import PreciseBatchNorm
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.stateful import Stateful
from paddlevideo.tasks.step import Precision
from paddlevideo.utils.errors import ConfigError


@dataclass(frozen=True)
class Methods:
    """What is added to the loop, in the order of calling, and what of it is saved."""

    hooks: list[Hook] = field(default_factory=list)
    parts: dict[str, Stateful] = field(default_factory=dict)


def methods_of(
    recipe: Recipe, model: nn.Layer, precision: Precision, teacher: Teacher | None
) -> Methods:
    """Build them; none by default.

    Raises:
        ConfigError: DISTILL without a teacher.
    """
    methods, average = Methods(), None
    if (recipe.DISTILL is None) != (teacher is None):
        raise ConfigError("DISTILL: a teacher is given to the training where the config names one")
    if teacher is not None:
        methods.parts["teacher"] = TeacherPart(teacher)
    if recipe.EMA is not None:
        average = WeightAverage(model, recipe.EMA, recipe.model_name)
        methods.hooks.append(average)
        methods.parts["ema"] = average
    if recipe.PRECISEBN is not None:

        def open_loader() -> ClipLoader:
            dataset = build_split(recipe, "train")
            return build_loader(recipe, "train", dataset, model.num_classes)

        methods.hooks.append(PreciseBatchNorm(recipe.PRECISEBN, precision, open_loader, average))
    return methods
