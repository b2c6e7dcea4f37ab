"""Read everything of a run that a report shows."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter

from paddlevideo.apps.reports.parts import (
    ANSWER,
    DATA_CHECK,
    DATA_CHECK_NAME,
    NEXT_COMMANDS,
    NEXT_COMMANDS_NAME,
    TIMELINES,
    TIMELINES_NAME,
    Answer,
    DataCheck,
    NextCommand,
    Timeline,
    checked,
    read_part,
)
from paddlevideo.metrics import UNREADABLE, ConfusionMatrix, confusion_matrix
from paddlevideo.tasks.predictions import CLASSES_NAME, PREDICTIONS_NAME
from paddlevideo.tasks.run_folder import CONFIG_NAME, METRICS_NAME, TEST_CONFIG_NAME
from paddlevideo.tasks.run_records import Line, last_of, read_lines, read_metrics
from paddlevideo.utils.config import read_config
from paddlevideo.utils.errors import DataError, PaddleVideoError
from paddlevideo.utils.nodes import Node

Part = TypeVar("Part")


@dataclass
class Run:
    """A run, as far as its folder tells it.

    Attributes:
        folder: where it lies.
        config, test_config: as resolved for training and for the newest test; empty without.
        lines: of ``metrics.jsonl``, since training last began.
        titles: names of the classes in label order; empty where no test named them.
        answers: of the newest test to every video; empty without.
        notes: what could not be shown, and why, in sentences.
    """

    folder: Path
    config: Node = field(default_factory=dict)
    test_config: Node = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    data_check: DataCheck | None = None
    timelines: list[Timeline] | None = None
    next_commands: list[NextCommand] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the model, or else of the folder."""
        for config in (self.config, self.test_config):
            if isinstance(config.get("model_name"), str):
                return config["model_name"]
        return self.folder.resolve().name

    @property
    def test(self) -> Line | None:
        """The record of the newest test."""
        return last_of(self.lines, "test")

    @property
    def epochs(self) -> list[Line]:
        """The newest record of each epoch of training, in order."""
        return _newest_by_epoch(self.lines, "train_epoch")

    @property
    def validations(self) -> list[Line]:
        """The newest record of each validation, in order."""
        return _newest_by_epoch(self.lines, "valid")

    @property
    def headline(self) -> str:
        """The key by which models are compared; ``top1`` where nothing says it."""
        stated = [line.get("headline") for line in self.lines]
        return next((name for name in reversed(stated) if isinstance(name, str)), "top1")

    def best_validation(self) -> Line | None:
        """The validation of the highest headline; the first of equal ones."""
        valid = [line for line in self.validations if number(line, self.headline) is not None]
        return max(valid, key=lambda line: number(line, self.headline) or 0.0, default=None)

    def matrix(self) -> ConfusionMatrix | None:
        """What is taken for what in the newest test; None without one."""
        if not self.answers:
            return None
        labels = np.array([answer.label for answer in self.answers])
        predicted = [a.top[0].index if a.readable else UNREADABLE for a in self.answers]
        return confusion_matrix(labels, np.array(predicted), len(self.titles))

    def set_name(self, split: str) -> str | None:
        """The list or folder of a split, as the config has it."""
        configs = (self.test_config, self.config) if split == "test" else (self.config,)
        for config in configs:
            node = (config.get("DATASET") or {}).get(split)
            if isinstance(node, dict):
                found = node.get("root") or node.get("file_path")
                if isinstance(found, str):
                    return found
        return None


def number(line: Line, name: str) -> float | None:
    """A finite number of a record; None where it has none."""
    value = line.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) else None


def read_run(folder: Path) -> Run:
    """Read a run's folder; what is damaged is left out, with a note.

    Raises:
        DataError: no such folder, or nothing of a run is in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name a run's folder, such as output/MyModel")
    if not any((folder / name).is_file() for name in (METRICS_NAME, PREDICTIONS_NAME)):
        raise DataError(
            f"{folder} is no run's folder: it has neither {METRICS_NAME} nor {PREDICTIONS_NAME}; "
            "train or test first (main.py)"
        )
    run = Run(folder)
    run.config = _config(run, CONFIG_NAME)
    run.test_config = _config(run, TEST_CONFIG_NAME)
    if (folder / METRICS_NAME).is_file():
        try:
            run.lines = read_metrics(folder)
        except DataError as error:
            run.notes.append(f"Curves are left out: {error}.")
    _read_answers(run)
    run.data_check = _part(run, DATA_CHECK_NAME, DATA_CHECK)
    run.timelines = _part(run, TIMELINES_NAME, TIMELINES)
    run.next_commands = _part(run, NEXT_COMMANDS_NAME, NEXT_COMMANDS)
    return run


def _part(run: Run, name: str, kind: TypeAdapter[Part]) -> Part | None:
    try:
        return read_part(run.folder / name, kind)
    except PaddleVideoError as error:
        run.notes.append(f"A part is left out: {error}.")
        return None


def _config(run: Run, name: str) -> Node:
    path = run.folder / name
    if not path.is_file():
        return {}
    try:
        config = read_config(path)
    except PaddleVideoError as error:
        run.notes.append(f"The config is left out: {error}.")
        return {}
    section = config.get("DATASET")
    return config if section is None or isinstance(section, dict) else {}


def _read_answers(run: Run) -> None:
    """The answers of the newest test, unless the run was trained anew since."""
    path = run.folder / PREDICTIONS_NAME
    if not path.is_file():
        return
    if last_of(run.lines, "start") is not None and run.test is None:
        run.notes.append(
            "The test in this folder is of an earlier training and is left out; test again."
        )
        return
    try:
        lines = read_lines(path, "test again")
        answers = [
            checked(line, ANSWER, f"{path}:{number}") for number, line in enumerate(lines, start=1)
        ]
        run.titles = _titles(run.folder, answers)
        run.answers = answers
    except DataError as error:
        run.notes.append(f"The test is left out: {error}.")


def _titles(folder: Path, answers: Sequence[Answer]) -> list[str]:
    """Names of all classes: the table of classes, or what the answers name."""
    named: dict[int, str] = {}
    for answer in answers:
        named[answer.label] = answer.label_name
        named.update({guess.index: guess.label for guess in answer.top})
    most = max(named, default=-1)
    try:
        with (folder / CLASSES_NAME).open(newline="", encoding="utf-8") as file:
            titles = [row["class"] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error):
        titles = []
    if len(titles) > most and all(isinstance(title, str) for title in titles):
        return titles
    return [named.get(index, f"class {index}") for index in range(most + 1)]


def _newest_by_epoch(lines: Sequence[Line], kind: str) -> list[Line]:
    """A resumed run repeats epochs; the newest record of each counts."""
    found = {
        epoch: line
        for line in lines
        if line.get("kind") == kind and (epoch := number(line, "epoch")) is not None
    }
    return [found[epoch] for epoch in sorted(found)]
