"""Test: every listed video counts."""

import logging

from paddle import nn

from paddlevideo.metrics import METRICS
from paddlevideo.tasks.build import build_loader, build_split, describe_model
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_folder import MetricsLog, make_run_folder, save_test_record

logger = logging.getLogger(__name__)


def test_model(recipe: Recipe, model: nn.Layer) -> dict[str, float]:
    """Evaluate ``model`` on the ``test`` split; log and return the result."""
    loader = build_loader(recipe, "test", build_split(recipe, "test"), model.num_classes)
    metric = METRICS.build(recipe.METRIC, "METRIC")
    logger.info("test %s on %d clips", describe_model(model), loader.num_samples)
    result = evaluate(model, loader, metric, "test")
    shown = ", ".join(
        f"avg_acc{key.removeprefix('top')}= {value:.5f}"
        for key, value in result.items()
        if key.startswith("top")
    )
    logger.info("[TEST] finished, %s", shown)
    logger.info(
        "[TEST] %d videos, %d unreadable, loss %.5f",
        result["samples"],
        result["unreadable"],
        result["loss"],
    )
    folder = make_run_folder(recipe)
    save_test_record(recipe)
    MetricsLog(folder).write("test", **result)
    return result
