// The network as the page sees it: a worker that takes frames and answers one by one.

/** Opens the network in a worker of its own; one at a time. */
export class Network {
  /** handlers: progress(share), result(answer), failed(text). */
  constructor(handlers) {
    this.handlers = handlers;
    this.worker = null;
    this.waiting = 0; // frames that were sent and are not answered
  }

  /** Load it; the promise is of its proof. engine: `wasm` or `webgpu`. */
  open(engine, threads) {
    this.close();
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker = worker;
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.type === "opened") {
          resolve(data);
        } else if (data.type === "failed" && data.during === "open") {
          reject(new Error(data.text));
        } else {
          this.take(data);
        }
      };
      worker.onerror = (event) => {
        const text = event.message || "a part of this page is missing from its folder";
        reject(new Error(text));
        this.handlers.failed(text);
      };
      worker.postMessage({ type: "open", engine, threads });
    });
  }

  /** Show it a frame; `lent`: the bitmap is still the sender's, and is copied. */
  send(frame, lent) {
    this.waiting += 1;
    this.worker.postMessage({ type: "frame", ...frame }, lent ? [] : [frame.bitmap]);
  }

  close() {
    this.worker?.terminate();
    this.worker = null;
    this.waiting = 0;
  }

  take(message) {
    if (message.type === "progress") {
      this.handlers.progress(message.share);
      return;
    }
    if (message.type === "result") {
      this.waiting -= 1;
      this.handlers.result(message);
    } else {
      this.waiting -= message.during === "frame" ? 1 : 0;
      this.handlers.failed(message.text);
    }
  }
}

/**
 * Threads for the network: half the cores, for camera and drawing need some too. One where the page
 * is not isolated (the headers COOP and COEP) and threads cannot share memory.
 */
export function usableThreads() {
  const half = Math.ceil((navigator.hardwareConcurrency || 1) / 2);
  return globalThis.crossOriginIsolated ? Math.min(4, half) : 1;
}

/** Whether a graphics processor can be used. */
export async function hasWebGpu() {
  try {
    return Boolean(await navigator.gpu?.requestAdapter());
  } catch {
    return false;
  }
}
