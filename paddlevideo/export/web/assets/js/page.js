// The page: puts the parts together and says what happens.

import { Curve } from "./curve.js";
import { FrameFeed } from "./frame_feed.js";
import { History } from "./history.js";
import { Network, hasWebGpu, usableThreads } from "./network.js";
import { closeSource, listCameras, openCamera, openFile } from "./sources.js";
import { TopList, setText } from "./top_list.js";

const KEPT_STEPS = 300;
const CURVE_SECONDS = 30;
const SPEED_MILLISECONDS = 1000;
const SMALL_STEP = 0.9; // of the new time of a step, the rest being of those before

const at = Object.fromEntries([...document.querySelectorAll("[id]")].map((item) => [item.id, item]));
const network = new Network({ progress: showProgress, result: showResult, failed: fail });
const page = { model: null, feed: null, source: null, speed: null, drawing: false, turn: 0 };

start().catch((error) => fail(error.message));

async function start() {
  if (typeof OffscreenCanvas === "undefined" || typeof createImageBitmap === "undefined") {
    throw new Error("This browser is too old for this page; use one of 2023 or later.");
  }
  const address = new URL("../model/model.json", import.meta.url);
  const response = await fetch(address, { cache: "no-cache" });
  if (!response.ok) {
    throw new Error("model/model.json is missing from this page's folder; write the page again.");
  }
  page.model = await response.json();
  prepare(page.model);
  await fillEngines();
  await openNetwork();
}

function prepare(model) {
  document.title = model.title;
  at.title.textContent = model.title;
  const nameOf = (index) => model.labels?.[index] ?? `class ${index}`;
  page.top = new TopList(at.top, at.spoken, nameOf, model.num_classes);
  page.history = new History(model.num_classes, KEPT_STEPS);
  page.curve = new Curve(at.curve, at.legend, nameOf);
  page.curveSeconds = curveSeconds(CURVE_SECONDS);
  const windows = [...new Set([5, Number(model.window_seconds.toPrecision(2)), 30])];
  const choices = windows.sort((a, b) => a - b).map((seconds) => [seconds, `begins anew every ${seconds} s`]);
  fillSelect(at.memory, [[0, "all since the start"], ...choices]);
  requestDrawing();
}

/** How much of a video is drawn: the whole of a short one, the newest part of a long one. */
function curveSeconds(duration) {
  const most = Math.min(CURVE_SECONDS, KEPT_STEPS / page.model.frame_rate);
  return Number.isFinite(duration) ? Math.min(most, Math.max(Math.ceil(duration), 1)) : most;
}

function fillSelect(select, choices) {
  select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
}

async function fillEngines() {
  const threads = usableThreads();
  const engines = [["wasm", `the processor, ${threads === 1 ? "one thread" : `${threads} threads`}`]];
  if (await hasWebGpu()) {
    engines.push(["webgpu", "the graphics processor"]);
  }
  fillSelect(at.engine, engines);
  at.engine.disabled = engines.length === 1;
}

async function openNetwork() {
  stop();
  clearError();
  allow(false);
  at.progress.hidden = false;
  setText(at.status, "Loading the model …");
  try {
    const { proof } = await network.open(at.engine.value, usableThreads());
    setText(
      at.proof,
      `Checked on this device: within ${proof.difference.toExponential(1)} of the model's own ` +
        `answers. ${page.model.runtime}.`,
    );
    setText(at.status, "Ready.");
    allow(true);
  } catch (error) {
    setText(at.status, "The model is not running.");
    fail(`The model cannot be run: ${error.message}`);
  } finally {
    at.progress.hidden = true;
  }
}

function allow(isReady) {
  at.camera.disabled = !isReady;
  at.file.disabled = !isReady;
  page.isReady = isReady;
}

function showProgress(share) {
  at.progress.value = share;
}

// Sources

async function run(kind, openSource) {
  stop();
  clearError();
  page.turn += 1;
  const { turn } = page;
  const isWanted = () => turn === page.turn;
  try {
    at.video.hidden = false;
    at.hint.hidden = true;
    at.video.controls = kind === "file";
    await openSource(isWanted);
  } catch (error) {
    if (isWanted()) {
      stop();
      fail(error.message);
    }
    return;
  }
  const isLive = kind === "camera";
  at.memory.value = isLive ? String(Number(page.model.window_seconds.toPrecision(2))) : "0";
  page.source = kind;
  page.history.clear();
  page.curveSeconds = curveSeconds(isLive ? CURVE_SECONDS : at.video.duration);
  page.speed = { since: performance.now(), answers: 0, step: 0 };
  const { frame_rate: rate } = page.model;
  page.feed = new FrameFeed(at.video, network, { isLive, rate, onError: (e) => fail(e.message) });
  page.feed.windowSeconds = Number(at.memory.value);
  at.stage.classList.add("running");
  at.stop.hidden = false;
  at.camera.hidden = true;
  if (document.activeElement === document.body) {
    at.stop.focus(); // it is where the hidden button was
  }
  at.anew.disabled = false;
  setText(at.status, isLive ? "Watching the camera." : "Watching the video.");
}

async function runCamera(id) {
  await run("camera", async (isWanted) => {
    const stream = await openCamera(at.video, id, isWanted);
    const [track] = stream.getVideoTracks();
    track.onended = () => {
      stop();
      fail("The camera was taken away. Connect it again, or choose another one.");
    };
    const cameras = await listCameras();
    const choices = cameras.map((camera, number) => [
      camera.deviceId,
      camera.label || `camera ${number + 1}`,
    ]);
    fillSelect(at.camera_choice, choices);
    at.camera_choice.value = track.getSettings().deviceId ?? "";
    at.cameras.hidden = cameras.length < 2;
  });
}

async function runFile(file) {
  await run("file", () => openFile(at.video, file));
  if (page.feed !== null) {
    await at.video.play().catch(() => setText(at.status, "Press play to begin."));
  }
}

function stop() {
  page.feed?.stop();
  page.feed = null;
  page.source = null;
  closeSource(at.video);
  at.video.hidden = true;
  at.hint.hidden = false;
  at.stage.classList.remove("running");
  at.stop.hidden = true;
  at.camera.hidden = false;
  at.anew.disabled = true;
  if (page.isReady) {
    setText(at.status, "Ready.");
  }
}

// Answers

function showResult({ probabilities, time, times, startsAnew, stream }) {
  const { feed } = page;
  if (feed === null) {
    return;
  }
  feed.answered();
  if (stream !== feed.stream) {
    return; // of before it was wound on, or begun anew
  }
  const { history, speed } = page;
  if (history.count && time < history.times[(history.count - 1) % history.length]) {
    history.clear();
  }
  history.push(probabilities, time, startsAnew);
  speed.answers += 1;
  const total = times.prepare + times.step;
  speed.step = speed.step ? speed.step + (1 - SMALL_STEP) * (total - speed.step) : total;
  page.newest = probabilities;
  requestDrawing();
}

function requestDrawing() {
  if (!page.drawing) {
    page.drawing = true;
    requestAnimationFrame(draw);
  }
}

function draw() {
  page.drawing = false;
  if (page.newest) {
    page.top.show(page.newest);
  }
  page.curve.draw(page.history, page.curveSeconds);
  showSpeed();
}

function showSpeed() {
  const { feed, speed } = page;
  const passed = speed === null ? 0 : performance.now() - speed.since;
  if (feed === null || passed < SPEED_MILLISECONDS) {
    return;
  }
  if (at.video.paused && !feed.pausedByUs) {
    page.speed = { ...speed, since: performance.now(), answers: 0 };
    return; // what is shown is of before the pause
  }
  setText(at.rate, ((1000 * speed.answers) / passed).toFixed(1));
  setText(at.step, speed.step.toFixed(1));
  setText(at.dropped, String(feed.left));
  page.speed = { since: performance.now(), answers: 0, step: speed.step };
}

// Errors

function fail(text) {
  at.error.hidden = false;
  setText(at.error, text);
}

function clearError() {
  at.error.hidden = true;
  setText(at.error, "");
}

// Controls

at.camera.addEventListener("click", () => runCamera(""));
at.camera_choice.addEventListener("change", () => runCamera(at.camera_choice.value));
at.stop.addEventListener("click", () => {
  stop();
  at.camera.focus();
});
at.anew.addEventListener("click", () => page.feed?.beginAnew());
at.engine.addEventListener("change", openNetwork);
at.memory.addEventListener("change", () => {
  if (page.feed !== null) {
    page.feed.windowSeconds = Number(at.memory.value);
  }
});
at.file.addEventListener("change", () => {
  const [file] = at.file.files;
  at.file.value = ""; // so that the same one can be chosen again
  if (file) {
    runFile(file);
  }
});
at.video.addEventListener("ended", () => setText(at.status, "The video has ended."));
at.video.addEventListener("play", () => {
  if (page.source === "file") {
    setText(at.status, "Watching the video.");
  }
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at.stage.classList.add("over");
});
document.addEventListener("dragleave", () => at.stage.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at.stage.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (!page.isReady) {
    fail("The model is not ready yet; drop the video again in a moment.");
  } else if (file) {
    runFile(file);
  }
});
globalThis.addEventListener("resize", requestDrawing);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", requestDrawing);
