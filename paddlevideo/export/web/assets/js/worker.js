// The worker: it holds the network and its states, and takes frames one by one, so that the page
// never waits. Messages to it: open, frame, reset. From it: progress, opened, result, failed.

import { preprocess } from "./preprocess.js";
import { softmax } from "./scores.js";
import { StepRunner, prove } from "./step_runner.js";

const RUNTIMES = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };
const MODEL = new URL("../model/", import.meta.url);
const RUNTIME = new URL("../runtime/", import.meta.url);

const state = { model: null, runner: null, canvas: new OffscreenCanvas(1, 1) };
state.context = state.canvas.getContext("2d", { willReadFrequently: true });

const handlers = { open, frame, reset: () => state.runner.reset() };
let queue = Promise.resolve(); // messages are handled one after the other

self.onmessage = ({ data }) => {
  queue = queue
    .then(() => handlers[data.type](data))
    .catch((error) => self.postMessage({ type: "failed", during: data.type, text: error.message }));
};

async function open({ engine, threads }) {
  state.model = await (await fetched("model.json")).json();
  const ort = await import(new URL(RUNTIMES[engine], RUNTIME).href);
  ort.env.wasm.wasmPaths = RUNTIME.href;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const bytes = await received(await fetched(state.model.model), state.model.model_bytes);
  state.runner = await StepRunner.open(ort, bytes, state.model, engine);
  const answers = await (await fetched(state.model.reference.file)).arrayBuffer();
  const proof = await prove(state.runner, answers);
  if (!(proof.difference <= proof.tolerance)) {
    throw new Error(
      `this browser computes other answers than the model's own (${proof.difference.toExponential(1)} ` +
        "apart)",
    );
  }
  self.postMessage({ type: "opened", proof, engine, threads });
}

async function fetched(name) {
  const response = await fetch(new URL(name, MODEL), { cache: "no-cache" }); // none of an older page
  if (!response.ok) {
    throw new Error(`model/${name} is missing from this page's folder (${response.status})`);
  }
  return response;
}

/** The bytes of the network, and how far they have come. */
async function received(response, size) {
  const bytes = new Uint8Array(size);
  const reader = response.body.getReader();
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (length + part.value.length > size) {
      throw new Error("the network in this page's folder is longer than model.json says");
    }
    bytes.set(part.value, length);
    length += part.value.length;
    self.postMessage({ type: "progress", share: length / size });
  }
  if (length !== size) {
    throw new Error("the network in this page's folder is shorter than model.json says");
  }
  return bytes;
}

async function frame({ bitmap, time, startsAnew, stream }) {
  const begin = performance.now();
  const pixels = preprocess(picture(bitmap), state.model.steps, state.model.frame.shape);
  const prepared = performance.now();
  if (startsAnew) {
    state.runner.reset();
  }
  const probabilities = softmax(await state.runner.step(pixels));
  const stepped = performance.now();
  const times = { prepare: prepared - begin, step: stepped - prepared };
  self.postMessage({ type: "result", probabilities, time, times, startsAnew, stream }, [
    probabilities.buffer,
  ]);
}

/** The pixels of a bitmap, which is given back at once. */
function picture(bitmap) {
  const { width, height } = bitmap;
  if (state.canvas.width !== width || state.canvas.height !== height) {
    [state.canvas.width, state.canvas.height] = [width, height];
  }
  state.context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return state.context.getImageData(0, 0, width, height);
}
