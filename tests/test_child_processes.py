"""A test that fails does not wait for the process it has started."""

import subprocess
import sys
import time

import pytest
from child_processes import killed_at_the_end


def test_a_failure_ends_the_process():
    begun = time.monotonic()
    with (
        pytest.raises(AssertionError),
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process,
        killed_at_the_end(process),
    ):
        raise AssertionError
    assert process.returncode is not None and time.monotonic() - begun < 300
