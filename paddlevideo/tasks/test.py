"""Test: every listed video counts."""

import logging
from typing import Any

from paddle import nn

from paddlevideo.metrics import METRICS
from paddlevideo.tasks.build import build_loader, build_split, describe_model
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_folder import MetricsLog, make_run_folder, save_test_record

logger = logging.getLogger(__name__)


def test_model(recipe: Recipe, model: nn.Layer, weights: Any = None) -> dict[str, float]:
    """Evaluate ``model`` on the ``test`` split; log and return the result.

    Args:
        weights: the file that was loaded, beside which its run left the names of its classes.
    """
    class_names(recipe, model.num_classes, weights)  # as many names as classes, or an error
    dataset = build_split(recipe, "test", weights=weights)
    loader = build_loader(recipe, "test", dataset, model.num_classes)
    metric = METRICS.build(recipe.METRIC, "METRIC")
    metric.check_classes(model.num_classes)
    logger.info("test %s on %d clips", describe_model(model), loader.num_samples)
    result = evaluate(model, loader, metric, "test")
    logger.info("[TEST] finished, %s", metric.summary(result))
    logger.info(
        "[TEST] %d videos, %d unreadable, loss %.5f",
        result["samples"],
        result["unreadable"],
        result["loss"],
    )
    folder = make_run_folder(recipe)
    save_test_record(recipe)
    MetricsLog(folder).write("test", headline=metric.headline, **result)
    return result
