"""What a run leaves behind: resolved config, environment, metrics as JSON lines, a log."""

import json
import logging
import math
import os
import platform
import time
from pathlib import Path

import numpy as np
import paddle

from paddlevideo.modeling.distributed import is_main, world_size
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.files import append_lines, write_json, write_text

logger = logging.getLogger(__name__)

CONFIG_NAME = "config.yaml"
TEST_CONFIG_NAME = "test_config.yaml"
METRICS_NAME = "metrics.jsonl"
ENVIRONMENT_NAME = "environment.json"
LOG_NAME = "run.log"
BAD_SAMPLES_NAME = "bad_samples.jsonl"


def make_run_folder(recipe: Recipe) -> Path:
    """Make the run's folder, if it is not there; return it.

    Raises:
        ConfigError: it cannot be made, or not be written to.
    """
    folder = recipe.run_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output_dir: {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"output_dir: {folder} cannot be written to")
    return folder


def save_training_record(recipe: Recipe) -> None:
    """Save the resolved config and the environment of a training in the run's folder.

    The config says what is trained, not whether this start went on from a state or removed one.
    """
    if is_main():
        recipe = recipe.model_copy(
            update={"resume": None, "resume_epoch": 0, "resume_anyway": False, "overwrite": False}
        )
        write_text(recipe.run_folder / CONFIG_NAME, recipe.to_yaml())
        write_json(recipe.run_folder / ENVIRONMENT_NAME, environment())


def save_test_record(recipe: Recipe) -> None:
    """Save the resolved config of a test, beside that of the training."""
    if is_main():
        write_text(recipe.run_folder / TEST_CONFIG_NAME, recipe.to_yaml())


def environment() -> dict[str, object]:
    """Versions and hardware that a result depends on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "device": paddle.get_device(),
        "processes": world_size(),
    }


class MetricsLog:
    """Append one JSON object per line to ``metrics.jsonl``; only the main process writes.

    Half a line, which a killed process has left, is cut off. What cannot be written is a warning,
    and is written with the next line.

    Args:
        folder: of the run.
        run: the run's id, which every line carries; None: none.
    """

    def __init__(self, folder: Path, run: str | None = None) -> None:
        self.path = folder / METRICS_NAME
        self.run = run
        self._waiting = b""

    def write(self, kind: str, **values: object) -> None:
        """Add a line ``{"kind", "time", "run", ...}``."""
        if not is_main():
            return
        finite = {name: _json_number(value) for name, value in values.items()}
        run = {} if self.run is None else {"run": self.run}
        line = {"kind": kind, "time": round(time.time(), 3), **run, **finite}
        is_first = not self._waiting
        self._waiting += json.dumps(line).encode() + b"\n"
        try:
            append_lines(self.path, self._waiting)
        except OSError as error:
            if is_first:
                logger.warning(
                    "%s cannot be written: %s; its lines are kept and tried again",
                    self.path,
                    error.strerror,
                )
        else:
            self._waiting = b""


def _json_number(value: object) -> object:
    """JSON has no infinity and no NaN; such a value is written as null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
