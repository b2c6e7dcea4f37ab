"""Test: every listed video counts."""

import logging

from paddle import nn

from paddlevideo.metrics import METRICS
from paddlevideo.tasks.build import build_loader, build_split, describe_model
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.predictions import (
    TEST_FILES,
    PredictionCollector,
    titles_of,
    warn_without_plot,
    write_predictions,
)
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_folder import MetricsLog, make_run_folder, save_test_record
from paddlevideo.tasks.run_identity import read_record
from paddlevideo.tasks.stream_test import stream_answer

logger = logging.getLogger(__name__)


def test_model(recipe: Recipe, model: nn.Layer, weights: object = None) -> dict[str, float]:
    """Evaluate ``model`` on the ``test`` split; log and return the result.

    What it answers for every video and class is left in the run's folder (`predictions`).

    Args:
        weights: the file that was loaded, beside which its run left the names of its classes.
    """
    names = class_names(recipe, model.num_classes, weights)
    dataset = build_split(recipe, "test", weights=weights)
    loader = build_loader(recipe, "test", dataset, model.num_classes)
    metric = METRICS.build(recipe.METRIC, "METRIC")
    metric.check_classes(model.num_classes)
    warn_without_plot()
    answer = stream_answer(model) if recipe.TEST.stream else None
    how = ", frame by frame" if recipe.TEST.stream else ""
    views = dataset.context.pipeline.num_views
    how += f", {views} views of each" if views > 1 else ""
    logger.info("test %s on %d clips%s", describe_model(model), loader.num_samples, how)
    collector = PredictionCollector(loader.num_samples, model.num_classes)
    result = evaluate(model, loader, metric, "test", collector, answer)
    predictions = collector.gathered()
    finished, *rest = metric.summary(result)
    for line in (f"finished, {finished}", *rest):
        logger.info("[TEST] %s", line)
    folder = make_run_folder(recipe)
    save_test_record(recipe)
    titles = titles_of(names, model.num_classes)
    write_predictions(folder, dataset.records, predictions, titles)
    logger.info(
        "[TEST] %s in %s",
        ", ".join(name for name in TEST_FILES if (folder / name).exists()),
        folder,
    )
    record = read_record(folder)
    MetricsLog(folder, record.run if record else None).write(
        "test", headline=metric.headline, **result
    )
    return result
