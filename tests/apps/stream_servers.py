"""Videos with times that say something, and small servers that stream them over HTTP and RTSP."""

import http.server
import socketserver
import struct
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from video.conftest import grey_of


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


class RtspServer:
    """A camera by RTSP (RFC 2326): an MPEG transport stream in RTP, inside the TCP connection.

    Args:
        file: .ts, sent from its beginning to each client that plays, over and over.
        pause: seconds between two RTP packets of 7 x 188 bytes.
        port: 0: any free one.
    """

    def __init__(self, file: Path, pause: float = 0.01, port: int = 0):
        self._data, self._pause = file.read_bytes(), pause
        self.plays, self.closing = 0, False
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while request := self._request():
                    if not outer.answer(self.wfile, *request):
                        return

            def _request(self):
                line = self.rfile.readline().decode()
                headers = {}
                while (header := self.rfile.readline().decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                return (line.split(" ")[0], headers) if line else None

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/camera"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, out, method: str, headers: dict[str, str]) -> bool:
        """Answer one request; False ends the connection."""
        extra, body = "", ""
        if method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
            body += "m=video 0 RTP/AVP 33\r\na=control:track\r\n"
            extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        begin = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n"
        out.write(f"{begin}{extra}\r\n{body}".encode())
        if method == "PLAY":
            self.plays += 1
            self._send(out)
        return method not in ("PLAY", "TEARDOWN")

    def _send(self, out) -> None:
        size, number = 7 * 188, 0
        while not self.closing:
            start = number * size % len(self._data)
            packet = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 900, 1)
            packet += self._data[start : start + size]
            try:
                out.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
            except OSError:
                return
            number += 1
            time.sleep(self._pause)

    def close(self):
        self.closing = True
        self._server.shutdown()
        self._server.server_close()
