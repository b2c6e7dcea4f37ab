"""RTSP as a real server speaks it: GStreamer's, where the system has it."""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from paddlevideo.apps.sources.factory import SourceOptions, open_source

SERVER = Path(__file__).with_name("gst_rtsp_server.py")
PYTHON = Path("/usr/bin/python3")  # GStreamer's bindings are packages of the system
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good}"


@contextlib.contextmanager
def served(port: int = 0):
    """A camera on loopback; gives its port."""
    process = subprocess.Popen(
        [str(PYTHON), str(SERVER), str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(process.stderr.read())
        yield int(line)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def camera():
    if not PYTHON.exists():
        pytest.skip(f"needs {PYTHON} with Debian's {PACKAGES}")
    with contextlib.ExitStack() as stack:
        try:
            port = stack.enter_context(served())
        except RuntimeError as error:
            pytest.skip(f"no RTSP server: apt-get install {PACKAGES} ({str(error)[-60:].strip()})")
        yield port, stack


def test_a_camera_that_goes_away_and_comes_back(camera, caplog):
    """Killed, away for a moment, there again on its port: the frames and their times go on."""
    port, stack = camera
    reader = open_source(
        f"rtsp://127.0.0.1:{port}/camera",
        SourceOptions(reconnect_seconds=30, timeout_seconds=3, max_seconds=60),
    )
    times, num_before = [], 0
    for frame in reader:
        times.append(frame.time_seconds)
        assert frame.rgb().shape == (48, 64, 3)
        if len(times) == 10:
            stack.close()
            time.sleep(0.5)
            stack.enter_context(served(port))
        if "connecting again" in caplog.text and not num_before:
            num_before = len(times)
        if num_before and len(times) >= num_before + 10:
            break
    reader.close()
    assert reader.is_live and num_before
    assert times == sorted(times) and len(times) >= 20
