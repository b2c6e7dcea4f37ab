"""The page in headless Chromium, with a camera that is fed from a file and with files."""

import base64
import json
import re
import time

import av
import numpy as np
import pytest

from export.web.conftest import LABELS, RATE, moving_square, write_mp4, write_y4m
from export.web.serving import FAKE_CAMERA, chromium, served, until, visit
from paddlevideo.cli.main import main
from paddlevideo.export.web import require_runtime
from paddlevideo.runtime import load_predictor
from paddlevideo.runtime.reference import read_reference
from paddlevideo.weights.published.cache import HOME_VARIABLE

NUM_FRAMES = 300
MOST_GROWTH = 5e6  # bytes
PHONE = {"width": 360, "height": 780}
COUNT_ANSWERS = """
globalThis.answers = [];
const Plain = globalThis.Worker;
globalThis.Worker = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      if (data.type === "result") globalThis.answers.push([data.time, [...data.probabilities]]);
    });
  }
};
"""
MEMORY = "async () => (await performance.measureUserAgentSpecificMemory()).bytes"
# It asks every thread, and those of WebAssembly that wait for work answer after a minute.
CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', {{ value: {} }});"
STEPS = """
async ([frames, order]) => {
  const { StepRunner } = await import("/js/step_runner.js");
  const ort = await import("/runtime/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("/runtime/", location.href).href;
  ort.env.wasm.numThreads = 1;
  const model = await (await fetch("/model/model.json")).json();
  const network = new Uint8Array(await (await fetch("/model/" + model.model)).arrayBuffer());
  const runner = await StepRunner.open(ort, network, model, "wasm");
  const bytes = Uint8Array.from(atob(frames), (letter) => letter.charCodeAt(0));
  const size = model.frame.shape.reduce((a, b) => a * b);
  const answers = [];
  for (const number of order) {
    answers.push([...await runner.step(bytes.slice(number * size, (number + 1) * size))]);
  }
  return answers;
}
"""


SHOWN = "document.querySelector('#top .name').textContent !== '–'"


def answers_of(page) -> list:
    return page.evaluate("globalThis.answers")


def test_logits_are_those_of_the_reference(browser, address, bundle):
    reference = read_reference(bundle)
    frames, order = reference.frames["clip"], reference.order["clip"][0]
    with visit(browser, address) as seen:
        page = seen.open()
        given = [base64.b64encode(frames.tobytes()).decode(), order.tolist()]
        found = np.array(page.evaluate(STEPS, given))
        expected = reference.step_logits[:, 0]
        assert np.abs(found[: len(expected)] - expected).max() < 1e-5 * np.abs(expected).max()
        whole = reference.clip_logits[0]
        assert np.abs(found[-1] - whole).max() < 1e-5 * np.abs(whole).max()
        proof = re.search(r"within (\S+) of the model's own answers", page.inner_text("#proof"))
        assert float(proof[1]) < 1e-5
        assert page.title() == page.inner_text("h1") == "Small & quick"
        seen.check_quiet()


def test_threads_where_the_page_is_isolated(site, browser):
    with served(site, isolated=True) as address, visit(browser, address) as seen:
        seen.page.add_init_script(CORES.format(4))
        page = seen.open()
        chosen = page.locator("#engine option:checked").inner_text()
        assert chosen == "the processor, 2 threads"
        assert "Checked on this device" in page.inner_text("#proof")
        seen.check_quiet()


def test_300_frames_of_a_camera(site, browser, bundle, camera_frames):
    """The right label, as many frames as come, constant memory, and nothing leaves the folder."""
    session = load_predictor(bundle.folder, engine="onnxruntime").open_stream(top_k=1)
    for frame in [*camera_frames, *camera_frames]:
        expected = session.push(frame)
    with (
        served(site, isolated=True) as address,
        visit(browser, address, permissions=["camera"]) as seen,
    ):
        seen.page.add_init_script(COUNT_ANSWERS + CORES.format(2))
        page = seen.open()
        page.click("#camera")
        page.select_option("#memory", "0")  # all since the start
        until(page, "globalThis.answers.length > 60")
        before = page.evaluate(MEMORY)
        page.evaluate("globalThis.answers = []")
        began = time.monotonic()
        until(page, f"globalThis.answers.length >= {NUM_FRAMES}", 90)
        seconds = time.monotonic() - began
        top = page.locator("#top li .name").all_inner_texts()
        times = [seconds for seconds, _ in answers_of(page)]
        page.evaluate("globalThis.answers = []")
        growth = page.evaluate(MEMORY) - before
        assert top[0] == expected.label and sorted(top) == sorted(LABELS)
        assert growth < MOST_GROWTH, growth
        assert np.all(np.diff(times) > 0) and NUM_FRAMES / seconds < 1.2 * RATE
        seen.check_quiet()
    print(f"{NUM_FRAMES / seconds:.1f} frames/s, memory {growth / 1e6:+.2f} MB")


def test_a_file_is_seen_frame_by_frame(browser, address, bundle, tmp_path):
    """Its frames are those of a stream in Python, and so are the answers but for the colours."""
    frames = [moving_square(number) for number in range(30)]
    video = write_mp4(tmp_path / "square.mp4", frames)
    session = load_predictor(bundle.folder, engine="onnxruntime").open_stream(top_k=5)
    expected = [session.push(frame).probabilities for frame in frames]
    with visit(browser, address) as seen:
        seen.page.add_init_script(COUNT_ANSWERS)
        page = seen.open()
        page.set_input_files("#file", video)
        until(page, "document.querySelector('video').ended")
        page.wait_for_timeout(300)
        found = answers_of(page)
        times = np.array([seconds for seconds, _ in found])
        np.testing.assert_allclose(times, np.arange(len(times)) / RATE, atol=1e-6)
        assert len(times) >= len(frames) - 1  # the last moment is known only by the frame behind it
        last = np.array(found[-1][1])
        assert np.abs(last - expected[len(times) - 1]).max() < 0.1
        assert last.argmax() == expected[-1].argmax()
        assert page.inner_text("#status") == "The video has ended."
        page.click("#stop")
        assert page.is_visible("#camera") and page.inner_text("#status") == "Ready."
        seen.check_quiet()


def no_camera(name: str) -> str:
    failing = f"async () => {{ throw new DOMException('', '{name}') }}"
    return f"navigator.mediaDevices.getUserMedia = {failing}"


INSECURE = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined })"


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (no_camera("NotAllowedError"), "permission was refused"),
        (no_camera("NotFoundError"), "No camera was found"),
        (INSECURE, "open this page by https"),
    ],
)
def test_a_camera_that_cannot_be_used(browser, address, script, what):
    with visit(browser, address) as seen:
        seen.page.add_init_script(script)
        page = seen.open()
        page.click("#camera")
        page.wait_for_selector("#error:visible")
        assert what in page.inner_text("[role=alert]")
        assert page.is_visible("#camera") and not page.is_visible("#video")


def test_files_that_are_no_videos(browser, address, tmp_path):
    (tmp_path / "letter.mp4").write_text("Dear reader")
    with visit(browser, address) as seen:
        page = seen.open()
        page.set_input_files("#file", tmp_path / "letter.mp4")
        page.wait_for_selector("#error:visible")
        assert '"letter.mp4" cannot be shown' in page.inner_text("#error")


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("**/model.json", "model/model.json is missing"),
        ("**/*.onnx", "is missing from this page's folder"),
        ("**/ort-wasm-simd-threaded.wasm", "The model cannot be run"),
    ],
)
def test_a_folder_that_is_not_whole(browser, address, pattern, what):
    with visit(browser, address) as seen:
        seen.context.route(pattern, lambda route: route.fulfill(status=404))
        seen.page.goto(address)
        seen.page.wait_for_selector("#error:visible", timeout=20_000)
        assert what in seen.page.inner_text("#error") and not seen.page.is_enabled("#camera")


def test_wrong_answers_are_not_shown(browser, address, site):
    """A network that is not the one of the reference is refused before it sees a picture."""
    content = (site / "model" / "reference.bin").read_bytes()
    with visit(browser, address) as seen:
        damaged = content[:-400] + bytes(400)
        seen.context.route("**/reference.bin", lambda route: route.fulfill(body=damaged))
        seen.page.goto(address)
        seen.page.wait_for_selector("#error:visible", timeout=20_000)
        assert "computes other answers than the model's own" in seen.page.inner_text("#error")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_a_keyboard(browser, address, scheme):
    options = {"viewport": PHONE, "color_scheme": scheme, "permissions": ["camera"]}
    with visit(browser, address, **options) as seen:
        page = seen.open()
        reached = []
        for _ in range(4):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
        assert reached[:3] == ["camera", "file", "memory"]
        page.focus("#camera")
        page.keyboard.press("Enter")
        page.wait_for_selector("#stop:visible")
        until(page, SHOWN)
        assert page.evaluate("document.activeElement.id") == "stop"
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        small = page.evaluate("""
            [...document.querySelectorAll("button, select, label[for]")]
              .filter((item) => item.checkVisibility() && item.getBoundingClientRect().height < 40)
              .map((item) => item.id)""")
        assert small == []
        said = page.locator("body").aria_snapshot()
        for part in ('button "Stop"', 'combobox "Memory"', "status: Watching the camera.",
                     'heading "Most likely"', 'img "', "list"):  # fmt: skip
            assert part in said, said
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = np.mean([int(number) for number in re.findall(r"\d+", paper)])
        assert brightness > 200 if scheme == "light" else brightness < 60
        assert page.locator("#top b").count() == 0, "a label is text, not HTML"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "camera"
        seen.check_quiet()


def test_a_lost_camera_and_a_new_start(browser, address):
    with visit(browser, address, permissions=["camera"]) as seen:
        page = seen.open()
        page.click("#camera")
        until(page, SHOWN)
        page.click("#anew")
        page.evaluate("""
            const [track] = document.querySelector("video").srcObject.getVideoTracks();
            track.stop();
            track.dispatchEvent(new Event("ended"));""")
        page.wait_for_selector("#error:visible")
        assert "The camera was taken away" in page.inner_text("#error")
        page.click("#camera")
        page.wait_for_selector("#stop:visible")
        assert not page.is_visible("#error")


def test_the_policy_keeps_the_page_in_its_folder(browser, address):
    """What would leave the folder is refused by the browser itself."""
    with visit(browser, address) as seen:
        page = seen.open()
        tried = page.evaluate("""async () => {
            try { await fetch("http://127.0.0.2:9/"); return "sent"; } catch { return "refused"; }
        }""")
        assert tried == "refused"
        assert any("Content Security Policy" in said for said in seen.complaints)


def test_model_json_is_what_the_bundle_says(site, bundle):
    described = json.loads((site / "model" / "model.json").read_text(encoding="utf-8"))
    step = bundle.manifest.step
    assert described["labels"] == LABELS and described["frame_rate"] == step.frame_rate == RATE
    assert described["window_seconds"] == pytest.approx(8 / RATE)
    names = [name for queue in described["queues"] for name in queue["inputs"]]
    assert names == [name for queue in step.queues for name in queue.inputs]


@pytest.mark.slow
def test_a_graphics_processor(driver, site, tmp_path):
    """WebGPU, computed in software here: the same answers, and the states never leave it."""
    software = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
                "--enable-features=Vulkan,WebGPU", "--use-vulkan=swiftshader")  # fmt: skip
    video = write_mp4(tmp_path / "square.mp4", [moving_square(number) for number in range(30)])
    with (
        chromium(driver, *software) as browser,
        served(site) as address,
        visit(browser, address) as seen,
    ):
        page = seen.open()
        if page.locator("#engine option").count() < 2:
            pytest.skip("this Chromium has no WebGPU in software")
        page.select_option("#engine", "webgpu")
        until(page, "document.querySelector('#camera').disabled")
        page.wait_for_selector("#camera:enabled", timeout=60_000)
        assert "Checked on this device" in page.inner_text("#proof")
        page.set_input_files("#file", video)
        until(page, "document.querySelector('video').ended")
        assert page.locator("#top li .name").first.inner_text() in LABELS
        assert not page.is_visible("#error")


@pytest.mark.slow
def test_a_released_network(driver, shared_dir, runtime_archive, tmp_path, monkeypatch):
    """The int8 MoViNet-A0 that was released, and its clip of carving ice before the camera."""
    released = shared_dir / "pretrained" / "movinet-a0-stream-int8.tflite"
    clip = shared_dir / "pretrained" / "carving_ice.mp4"
    if not released.is_file() or not clip.is_file():
        pytest.skip("needs ../shared/pretrained, which is absent")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    require_runtime(runtime_archive)
    name = "movinet_a0_stream_k600_int8"
    main(["download", name, "--from", str(released)])
    folder = tmp_path / "bundle"
    export = ["export", "-c", "movinet_a0_stream_mobile", "-p", name, "-o", str(folder)]
    main([*export, "--save_name", "a0", "--format", "web"])
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    camera = write_y4m(tmp_path / "ice.y4m", frames)
    fed = f"--use-file-for-fake-video-capture={camera}"
    with (
        chromium(driver, *FAKE_CAMERA, fed) as browser,
        served(folder / "a0_web") as address,
        visit(browser, address, permissions=["camera"]) as seen,
    ):
        page = seen.open()
        proof = re.search(r"within (\S+) of the model's own answers", page.inner_text("#proof"))
        assert float(proof[1]) < 1e-5
        page.click("#camera")
        until(page, "document.querySelector('#top .name').textContent === 'carving ice'")
        page.wait_for_timeout(3000)
        assert page.locator("#top li .name").first.inner_text() == "carving ice"
        seen.check_quiet()
