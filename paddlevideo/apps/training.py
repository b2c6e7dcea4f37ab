"""Training a recipe, as commands do."""

from collections.abc import Sequence

from paddlevideo.apps.recipes import Weights, prepared_model
from paddlevideo.apps.teachers import open_teacher
from paddlevideo.modeling.distributed import is_main
from paddlevideo.tasks.hooks import Hook
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_identity import check_start
from paddlevideo.tasks.signals import SignalStops
from paddlevideo.tasks.step import Precision
from paddlevideo.tasks.train import Trainer


def train_recipe(
    recipe: Recipe,
    weights: Weights | None,
    validate: bool,
    precision: Precision | None = None,
    max_iters: int | None = None,
    hooks: Sequence[Hook] = (),
) -> None:
    """Train a recipe in this process, one of those of a launch if there are several.

    Args:
        weights: to start from; None: the recipe's own, if any.
        validate: evaluate the split ``valid`` meanwhile and keep the best weights.
        precision, max_iters, hooks: as `Trainer`.

    Raises:
        SystemExit: a signal has ended it; the code is 128 + signal (`signals`).
    """
    with SignalStops() as signals:
        if is_main():
            check_start(recipe)
        model = prepared_model(recipe, weights or recipe.weights, initial=True)
        teacher = open_teacher(recipe, model)
        trainer = Trainer(
            recipe, model, validate, precision, max_iters, hooks=[*hooks, signals], teacher=teacher
        )
        trainer.run()
    stop = trainer.agreement.stop
    if stop is not None and stop.exit_code:
        raise SystemExit(stop.exit_code)
