"""A folder served on this machine, as ``python -m http.server`` does, and a browser."""

import contextlib
import functools
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ISOLATING = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--enable-blink-features=ForceEagerMeasureMemory",
)  # fmt: skip
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@contextlib.contextmanager
def served(folder: Path, isolated: bool = False) -> Iterator[str]:
    """The address of a folder, with the headers that threads need if it is to be isolated."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

        def end_headers(self):
            for name, value in ISOLATING.items() if isolated else ():
                self.send_header(name, value)
            super().end_headers()

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def chromium(driver, *options: str) -> Iterator[object]:
    """A headless browser."""
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, *options])
    try:
        yield browser
    finally:
        browser.close()


class Visit:
    """A page that is open, and all that it asked for and complained of."""

    def __init__(self, browser, address: str, **options: object) -> None:
        self.address = address
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message) -> None:
        if message.type == "error" or "Content Security" in message.text:
            self.complaints.append(message.text)

    def open(self):
        """Go there, and wait until the network is ready; return the page."""
        self.page.goto(self.address)
        self.page.wait_for_selector("#camera:enabled", timeout=60_000)
        return self.page

    def check_quiet(self) -> None:
        """Nothing left the folder, and nothing went wrong."""
        assert self.complaints == []
        assert len(self.requests) > 10
        assert [url for url in self.requests if not url.startswith((self.address, "blob:"))] == []


def until(page, expression: str, seconds: float = 60) -> None:
    """Wait until an expression holds; the page's policy keeps Playwright's own way out."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"still not: {expression}"
        page.wait_for_timeout(20)


@contextlib.contextmanager
def visit(browser, address: str, **options: object) -> Iterator[Visit]:
    """A window of its own, closed at the end."""
    made = Visit(browser, address, **options)
    try:
        yield made
    finally:
        made.context.close()
