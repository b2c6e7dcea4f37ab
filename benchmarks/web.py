"""Measures the web page in headless Chromium: one step by threads, and the page with a camera.

python benchmarks/web.py                          # A0 with random weights; needs Chromium and npm
python benchmarks/web.py --model movinet_a2_stream
python benchmarks/web.py --bundle inference/Mine  # exported with --format onnx

The step is timed in the page's own modules, as exported and as the page has it, in turns, so that
what else the machine does slows all of them. The page is fed by a camera of 640x480 pixels and 30
frames a second, all of which are shown to the network. Needs playwright (requirements-dev.txt).
"""

import argparse
import contextlib
import functools
import http.server
import json
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CAMERA_RATE = 30
WIDTH, HEIGHT = 640, 480
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
OPEN = """
async ([name, threads]) => {
  const { StepRunner } = await import("/js/step_runner.js");
  const ort = await import("/runtime/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("/runtime/", location.href).href;
  ort.env.wasm.numThreads = threads;
  const model = await (await fetch("/model/model.json")).json();
  const bytes = new Uint8Array(await (await fetch("/model/" + name)).arrayBuffer());
  globalThis.runner = await StepRunner.open(ort, bytes, model, "wasm");
  const size = model.frame.shape.reduce((a, b) => a * b);
  globalThis.pixels = Uint8Array.from({ length: size }, (_, i) => (i * 7919) % 256);
}
"""
STEPS = """
async (count) => {
  const times = [];
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    await globalThis.runner.step(globalThis.pixels.slice());
    times.push(performance.now() - begin);
  }
  return times;
}
"""
CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', {{ value: {} }});"
COUNT = """
globalThis.answers = [];
const Plain = globalThis.Worker;
globalThis.Worker = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      if (data.type === "result") globalThis.answers.push([performance.now(), data.times]);
    });
  }
};
"""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, with the headers that threads need."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

        def end_headers(self) -> None:
            for name, value in HEADERS.items():
                self.send_header(name, value)
            super().end_headers()

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def write_camera(path: Path) -> None:
    """One second of noise that moves, for the fake camera."""
    rng = np.random.default_rng(0)
    picture = rng.integers(16, 236, (HEIGHT, WIDTH), np.uint8)
    colour: np.ndarray = np.full(WIDTH * HEIGHT // 2, 128, np.uint8)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{CAMERA_RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(CAMERA_RATE):
            moved = np.roll(picture, 8 * number, axis=1)
            file.write(b"FRAME\n" + moved.tobytes() + colour.tobytes())


def new_bundle(model_name: str, folder: Path) -> Path:
    """A network with random weights."""
    import paddlevideo
    from paddlevideo.apps.native_clips import native_description
    from paddlevideo.export import ExportOptions, export_model

    model = paddlevideo.create_model(model_name).eval()
    pipeline = native_description(model.input_spec())
    export_model(model, pipeline, folder, model_name, None, ExportOptions(formats=("onnx",)))
    return folder


def write_page(bundle_folder: Path, folder: Path) -> str:
    """The page, at the camera's rate; the name of the graph as exported, put beside the page's."""
    from paddlevideo.export.web import write_site
    from paddlevideo.runtime import read_bundle

    bundle = read_bundle(bundle_folder)
    write_site(bundle, folder)
    (exported,) = bundle.step_files.files["onnx"]
    shutil.copy(exported, folder / "model" / "as_exported.onnx")
    described = folder / "model" / "model.json"
    content = json.loads(described.read_text(encoding="utf-8"))
    described.write_text(json.dumps({**content, "frame_rate": CAMERA_RATE}), encoding="utf-8")
    return content["model"]


def time_steps(browser: object, address: str, page_graph: str, rounds: int) -> None:
    """Median and least time of a step, by graph and number of threads."""
    ways = [(name, threads) for name in ("as_exported.onnx", page_graph) for threads in (1, 2)]
    pages = {}
    for way in ways:
        pages[way] = browser.new_page()
        pages[way].goto(f"{address}icon.svg")
        pages[way].evaluate(OPEN, list(way))
        pages[way].evaluate(STEPS, 60)  # compiled for speed meanwhile
    times = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            times[way] += pages[way].evaluate(STEPS, 20)[5:]
    print(f"{'graph':<14}{'threads':>8}{'median ms':>11}{'least ms':>10}")
    for (name, threads), found in times.items():
        kind = "as exported" if name == "as_exported.onnx" else "of the page"
        print(f"{kind:<14}{threads:>8}{statistics.median(found):>11.2f}{min(found):>10.2f}")
        pages[name, threads].close()


def time_page(browser: object, address: str, seconds: int, cores: int) -> None:
    """Frames a second that are answered, and those that are dropped; on half of ``cores``."""
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.add_init_script(COUNT + CORES.format(cores))
    page.goto(address)
    page.wait_for_selector("#camera:enabled", timeout=120_000)
    page.click("#camera")
    page.wait_for_timeout(5000)
    page.evaluate("globalThis.answers = []")
    dropped_before = int(page.inner_text("#dropped"))
    page.wait_for_timeout(1000 * seconds)
    answers = page.evaluate("globalThis.answers")
    page.wait_for_timeout(1500)
    dropped = int(page.inner_text("#dropped")) - dropped_before
    passed = (answers[-1][0] - answers[0][0]) / 1000
    prepare, step = (
        statistics.median(times[k] for _, times in answers) for k in ("prepare", "step")
    )
    threads = page.locator("#engine option:checked").inner_text()
    print(
        f"page, {threads}: {(len(answers) - 1) / passed:.1f} frames/s, {dropped} dropped; "
        f"{prepare:.1f} ms to prepare a frame, {step:.1f} ms a step (medians)"
    )
    context.close()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="movinet_a0_stream")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=20, help="of the page with a camera")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as work_name, sync_playwright() as driver:
        work = Path(work_name)
        bundle = arguments.bundle or new_bundle(arguments.model, work / "bundle")
        graph = write_page(bundle, work / "site")
        write_camera(work / "camera.y4m")
        camera = f"--use-file-for-fake-video-capture={work / 'camera.y4m'}"
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=[*OPTIONS, camera])
        with served(work / "site") as address:
            time_steps(browser, address, graph, arguments.rounds)
            for cores in (2, 4):
                time_page(browser, address, arguments.seconds, cores)
        browser.close()


if __name__ == "__main__":
    main()
