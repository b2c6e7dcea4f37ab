"""The commands, run on the family's config as its author runs them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end.conftest import ROOT, tiny  # noqa: F401 - a fixture

from paddlevideo.cli.main import main
from paddlevideo.export.exporter import EXPORTERS, usable_formats

CONFIG = Path(__file__).parent / "config.yaml"
NAME = "ShiftNetMotion"
# TFLite's converter is in an environment of its own (tests/export/test_tflite.py).
FORMATS = [name for name in EXPORTERS if name != "tflite"]


def options(tiny_data, *changes):
    """The config on three classes of tiny videos: two epochs of three steps."""
    lists = {
        f"DATASET.{split}.{key}": value
        for split, name in (("train", "train"), ("valid", "val"), ("test", "val"))
        for key, value in tiny_data.split("VideoDataset", name).items()
    }
    data = {**lists, "DATASET.class_names": "[blue, green, red]", "DATASET.batch_size": 2}
    run = {"MODEL.head.num_classes": 3, "epochs": 2, "log_interval": 1}
    pairs = [f"{key}={value}" for key, value in {**data, **run}.items()]
    return ["-c", str(CONFIG), *(part for pair in [*pairs, *changes] for part in ("-o", pair))]


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):  # noqa: F811
    """The folder of a run of ``main.py`` in a process of its own, which imports the family."""
    cwd = tmp_path_factory.mktemp("second_family")
    command = [sys.executable, ROOT / "main.py", "--validate", *options(tiny)]
    path = {"PYTHONPATH": str(CONFIG.parents[1])}
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **path}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return cwd / "output" / NAME


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """``paddlevideo`` in this process, in an empty working folder: what it wrote."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("paddlevideo")
    before = list(logger.handlers), logger.propagate, logger.level

    def call(*arguments, code=0):
        capfd.readouterr()
        ended = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            ended = end.code
        said = capfd.readouterr()
        assert ended == code, said.err
        return said

    yield call
    for handler in set(logger.handlers) - set(before[0]):
        handler.close()
    logger.handlers[:], logger.propagate, logger.level = before


def exported(trained_folder, folder, *more):
    """Export the best weights of a run in every format, held against the model."""
    run = ["-c", trained_folder / "config.yaml", "-p", trained_folder / f"{NAME}_best.pdparams"]
    formats = ["--format", ",".join(usable_formats(*FORMATS)), "--verify"]
    main(["export", *map(str, [*run, "-o", folder, *formats, *more])])
    return folder


@pytest.fixture(scope="session")
def bundle(trained, tmp_path_factory):
    """What was trained, exported; tests must not change it."""
    return exported(trained, tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture(scope="session", autouse=True)
def _compiled_ahead(compiled_kernels) -> None:
    """``auto`` takes the compiled engine at once."""
