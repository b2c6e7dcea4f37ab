"""Videos with times that say something, and a small server that streams them over HTTP."""

import http.server
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from loader.conftest import grey_of


def write_timed(path: Path, times_ms: list[int], side: int = 32, **options) -> Path:
    """Frame i, of level ``grey_of(i % 50)``, shown at ``times_ms[i]``."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = side
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(times_ms):
            image = np.full((side, side, 3), grey_of(number % 50), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class LiveServer:
    """Serves one file as an endless-looking stream (no length), cut into pieces with pauses.

    Args:
        pause: seconds between two of 40 pieces.
        port: 0: any free one.
    """

    def __init__(self, file: Path, pause: float = 0.01, port: int = 0, seekable: bool = False):
        data = file.read_bytes()
        self.requests = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                if seekable:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                size = -(-len(data) // 40)
                for start in range(0, len(data), size):
                    if outer.closing:
                        return
                    try:
                        self.wfile.write(data[start : start + size])
                    except OSError:
                        return
                    time.sleep(pause)

            def log_message(self, *_arguments):
                pass

        self.closing = False
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/live.ts"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.closing = True
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
