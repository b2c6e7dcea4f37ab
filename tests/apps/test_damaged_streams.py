"""Streams with broken pictures go on; what they print tells no secrets."""

import http.server
import io
import logging
import threading
import time

import numpy as np
import pytest
from PIL import Image

from paddlevideo.apps.sources.factory import SourceOptions, open_source
from paddlevideo.utils.errors import DataError


def jpeg(level):
    file = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), level, np.uint8)).save(file, "JPEG")
    return file.getvalue()


class Camera:
    """Serves JPEG pictures as multipart/x-mixed-replace; every ``broken_each``-th is noise."""

    def __init__(self, num_pictures, broken_each):
        self.requests = 0
        outer = self
        noise = np.random.default_rng(0).bytes(400)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for number in range(num_pictures):
                    data = jpeg(number % 200)
                    if number % broken_each == broken_each - 1:
                        data = data[:100] + noise
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
                    try:
                        self.wfile.write(head.encode() + b"\r\n" + data + b"\r\n")
                    except OSError:
                        return
                    time.sleep(0.002)

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def test_broken_pictures_of_a_camera_are_skipped(caplog):
    with Camera(200, 20) as camera, caplog.at_level(logging.WARNING):
        url = f"http://me:secret@{camera.host}/video?token=secret"
        reader = open_source(url, SourceOptions(reconnect_seconds=0, live=False))
        times = [frame.time_seconds for frame in reader]
        assert camera.requests == 1
    assert (len(times), reader.frames_lost) == (190, 10)
    assert times == sorted(times)
    assert "10 of 200 frames cannot be decoded" in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_errors_tell_no_secrets(scheme):
    url = f"{scheme}://me:secret@127.0.0.1:9/a.ts?token=secret"
    with pytest.raises(DataError, match=f"{scheme}://127.0.0.1:9/a.ts: cannot be read") as caught:
        list(open_source(url))
    assert "secret" not in str(caught.value)
