"""Device, logging, progress and the collectives of one process."""

import logging
import sys

import numpy as np
import paddle
import pytest

from paddlevideo.modeling import distributed
from paddlevideo.modeling.device import setup_device
from paddlevideo.utils import progress
from paddlevideo.utils.errors import DeviceError
from paddlevideo.utils.logging import PACKAGE, setup_logging
from paddlevideo.utils.progress import track

without_gpu = pytest.mark.skipif(
    paddle.device.is_compiled_with_cuda(), reason="the message is for a Paddle without GPU"
)


@without_gpu
@pytest.mark.parametrize("name", ["gpu", "gpu:0"])
def test_no_gpu(name):
    with pytest.raises(DeviceError, match=r"sees none; install the GPU build .*-o device=cpu"):
        setup_device(name)


@pytest.mark.parametrize("name", ["tpu", "", "xpu:0", "cpu0", "cpu:0", "gpu:x", "gpu:"])
def test_unknown_device(name):
    with pytest.raises(DeviceError, match=f'device "{name}" is unknown; use auto, cpu, gpu'):
        setup_device(name)


@without_gpu
def test_the_cpu_is_found():
    assert setup_device("auto", num_threads=1) == "cpu" == paddle.get_device()


def test_one_process():
    values = np.array([1.0, 2.0])
    assert distributed.is_main() and distributed.world_size() == 1
    assert distributed.all_reduce_sum(values).tolist() == [1.0, 2.0]
    tensor = paddle.ones([2])
    distributed.average_in_place([tensor])
    distributed.barrier()
    assert tensor.tolist() == [1.0, 1.0]


@pytest.fixture
def package_logger():
    """The package's logger as it was, afterwards."""
    logger = logging.getLogger(PACKAGE)
    before = (logger.level, logger.propagate, list(logger.handlers))
    logger.handlers = []
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.level, logger.propagate, logger.handlers = before
    logger.manager._clear_cache()


def test_logging_to_console_and_file(package_logger, tmp_path, capsys):
    file = tmp_path / "run.log"
    for quiet in (False, True):
        setup_logging("INFO", file, quiet=quiet)
        logging.getLogger("paddlevideo.tasks").info("info %s", quiet)
        logging.getLogger("paddlevideo.tasks").debug("debug")
        logging.getLogger("paddlevideo.tasks").warning("warning %s", quiet)
    assert len(package_logger.handlers) == 2  # the second call replaced the first one's
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line.split("] ", 1)[1] for line in captured.err.splitlines()]
    assert lines == ["INFO: info False", "WARNING: warning False", "WARNING: warning True"]
    logged = [line.split("] ", 1)[1] for line in file.read_text().splitlines()]
    assert logged == [
        "INFO: info False",
        "WARNING: warning False",
        "INFO: info True",
        "WARNING: warning True",
    ]


def test_the_log_file_has_what_was_said_before_it_was_known(package_logger, tmp_path):
    """Opening a recipe and its weights says things before the run has a folder."""
    setup_logging()
    logging.getLogger("paddlevideo.convert").info("a key is translated")
    setup_logging("INFO", tmp_path / "run.log")
    logging.getLogger("paddlevideo.tasks").info("training")
    setup_logging("INFO", tmp_path / "run.log")  # what is written already is not written again
    lines = [line.split("] ", 1)[1] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert lines == ["INFO: a key is translated", "INFO: training"]


def test_track_yields_everything_once(monkeypatch, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO, PACKAGE):
        assert list(track(iter(range(3)), 3, "test")) == [0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == ["test: 1 of 3", "test: 2 of 3"]
    caplog.clear()
    assert list(track(iter(range(3)), 3, "test", show=False)) == [0, 1, 2]
    assert not caplog.records
