"""How many clips an update is made of."""

from paddlevideo.modeling.distributed import world_size
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.errors import ConfigError


def global_batch_size(recipe: Recipe) -> int:
    """Return the clips of an update, over all processes and accumulated batches.

    Raises:
        ConfigError: the recipe has no data set.
    """
    if recipe.GRADIENT_ACCUMULATION is not None:
        return recipe.GRADIENT_ACCUMULATION.global_batch_size
    if recipe.DATASET is None:
        raise ConfigError("the section DATASET is missing")
    return recipe.DATASET.batch_size * world_size()
