"""Nobody waits for a line of the log that a process, or a thread, will never end."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

_KILLED_WORKER = """
import logging, os, signal, time
from tqdm import tqdm
from paddlevideo.utils.logging import setup_logging

setup_logging()
tqdm.get_lock()  # as a bar, or an earlier line, has made it
reading, writing = os.pipe()
worker = os.fork()
if worker == 0:
    tqdm.get_lock().acquire()
    os.write(writing, b"1")
    time.sleep(60)
os.read(reading, 1)
os.kill(worker, signal.SIGKILL)
os.waitpid(worker, 0)
logging.getLogger("paddlevideo.loader").warning("a worker was killed")
"""

_FORKED_WHILE_A_THREAD_WRITES = """
import logging, os, threading
from tqdm import tqdm
from paddlevideo.utils.logging import setup_logging

setup_logging()
held, done = threading.Event(), threading.Event()

def write():
    with tqdm.get_lock():
        held.set()
        done.wait(60)

threading.Thread(target=write).start()
held.wait(60)
worker = os.fork()
logger = logging.getLogger("paddlevideo.loader")
if worker == 0:
    logger.warning("from the worker")
    os._exit(0)
_, status = os.waitpid(worker, 0)
done.set()
logger.warning("it ended with %d", status)
"""


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (_KILLED_WORKER, ["a worker was killed"]),
        (_FORKED_WHILE_A_THREAD_WRITES, ["from the worker", "it ended with 0"]),
    ],
)
def test_lines_go_on(script, lines):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    said = done.stderr.splitlines()
    assert [line.split("WARNING: ")[1] for line in said] == lines
