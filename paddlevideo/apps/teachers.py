"""The teacher of a distillation, opened from what DISTILL names."""

import logging
from pathlib import Path

from paddlevideo.apps.recipes import load_weights, open_model, open_recipe, weights_files
from paddlevideo.convert.self_describing import import_self_describing
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.runtime import read_bundle
from paddlevideo.tasks.best_weights import BestWeights
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.distill import DistillSection, Size, Teacher
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_folder import CONFIG_NAME
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.video import Pipeline

logger = logging.getLogger(__name__)


def open_teacher(recipe: Recipe, student: Recognizer) -> Teacher | None:
    """The teacher of a recipe; None without DISTILL.

    It is a config with weights, the folder of a run (its best weights), or a bundle.

    Raises:
        ConfigError: it cannot teach this model, or DISTILL does not say which weights.
        BundleError, WeightsError: its weights cannot be read or do not fit.
    """
    section = recipe.DISTILL
    if section is None:
        return None
    path = Path(section.teacher)
    is_run = (path / CONFIG_NAME).is_file()
    teacher = _of_config(section, path) if is_run or not path.is_dir() else _of_bundle(section)
    names = class_names(recipe, student.num_classes)
    teacher.check_student(student, names)
    if names is None or teacher.class_names is None:
        logger.info(
            "DISTILL: names of the classes are not known of both; their number alone was compared"
        )
    logger.info("DISTILL: taught by %s", teacher.source)
    return teacher


def _of_config(section: DistillSection, path: Path) -> Teacher:
    """That of a config or of a run."""
    is_run = path.is_dir()
    recipe = open_recipe(path / CONFIG_NAME if is_run else section.teacher)
    weights: str | Path | None = section.weights
    if weights is None and is_run:
        weights = BestWeights(path, recipe.model_name).path
    if weights is None:
        raise ConfigError(f"DISTILL.weights: name the trained weights of {section.teacher}")
    model = open_model(recipe, str(weights))
    names = class_names(recipe, model.num_classes, weights_files(str(weights)))
    return Teacher(
        model, _sizes(recipe.inference_description()), names, f"{model.architecture} ({weights})"
    )


def _sizes(description: ReadNode) -> dict[str, Size]:
    """Height and width of the clips that it was made for, where its pipeline states them."""
    sizes = {}
    for name, each in Pipeline(description).inputs.items():
        height, width = each.output_size
        if height is not None and width is not None:
            sizes[name] = (height, width)
    return sizes


def _of_bundle(section: DistillSection) -> Teacher:
    """That of a folder that export wrote."""
    if section.weights is not None:
        raise ConfigError("DISTILL.weights: the teacher is a bundle, whose weights are in it")
    imported = import_self_describing(Path(section.teacher))
    if imported is None or imported.model is None:
        raise ConfigError(f"DISTILL.teacher: {section.teacher} is no config, run or bundle")
    node = model_section(imported.model, **imported.options)
    if imported.scaling is not None:
        node["scaling"] = imported.scaling
    model = build_recognizer(node)
    load_weights(model, section.teacher)
    sizes = _sizes(read_bundle(section.teacher).manifest.pipeline)
    source = f"{model.architecture} ({section.teacher})"
    return Teacher(model, sizes, imported.class_names, source)
