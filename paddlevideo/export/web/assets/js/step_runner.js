// One stream through the step program: a frame and the states in, logits and the newest states out.
//
// Of each queue of states the program takes all tensors and gives the newest; then the oldest is
// dropped and the newest pushed. Where the graphics processor computes, states stay in its memory.

const ARRAYS = { uint8: Uint8Array, float32: Float32Array, int32: Int32Array, int64: BigInt64Array };

/** Runs the step program of a bundle; `model` is what model.json says. */
export class StepRunner {
  static async open(ort, bytes, model, engine) {
    const locations = { [model.logits]: "cpu" };
    for (const queue of model.queues) {
      locations[queue.output] = engine === "webgpu" ? "gpu-buffer" : "cpu";
    }
    const session = await ort.InferenceSession.create(bytes, {
      executionProviders: [engine],
      graphOptimizationLevel: "all",
      preferredOutputLocation: locations,
    });
    return new StepRunner(ort, session, model);
  }

  constructor(ort, session, model) {
    this.ort = ort;
    this.session = session;
    this.model = model;
    this.queues = [];
    this.reset();
  }

  /** Begin anew, with states of zeros. */
  reset() {
    this.queues.flat().forEach((tensor) => tensor.dispose());
    this.queues = this.model.queues.map((queue) =>
      queue.inputs.map(() => this.tensor(queue.dtype, queue.shape)),
    );
  }

  /** The logits behind one more frame; `pixels` as `preprocess` gives them. */
  async step(pixels) {
    const { model, ort } = this;
    const feeds = {
      [model.frame.name]: new ort.Tensor(model.frame.dtype, pixels, model.frame.shape),
    };
    model.queues.forEach((queue, number) => {
      queue.inputs.forEach((name, place) => {
        feeds[name] = this.queues[number][place];
      });
    });
    const results = await this.session.run(feeds);
    model.queues.forEach((queue, number) => {
      this.queues[number].push(results[queue.output]);
      this.queues[number].shift().dispose();
    });
    return results[model.logits].data;
  }

  tensor(dtype, shape) {
    const size = shape.reduce((product, length) => product * length, 1);
    return new this.ort.Tensor(dtype, new ARRAYS[dtype](size), shape);
  }
}

/**
 * Hold the program against the model's own answers; the runner begins anew behind it.
 *
 * Returns {difference, tolerance}: the largest difference as a share of what model.json names, and
 * the one allowed.
 */
export async function prove(runner, buffer) {
  const { frame, reference, num_classes: numClasses } = runner.model;
  const frames = new ARRAYS[frame.dtype](
    buffer,
    0,
    reference.num_frames * frame.shape.reduce((product, length) => product * length, 1),
  );
  const size = frames.length / reference.num_frames;
  const answers = new Float32Array(buffer.slice(frames.byteLength));
  let worst = 0;
  runner.reset();
  for (let step = 0; step < reference.order.length; step++) {
    const start = reference.order[step] * size;
    const logits = await runner.step(frames.slice(start, start + size));
    for (let i = 0; i < numClasses; i++) {
      const difference = Math.abs(logits[i] - answers[step * numClasses + i]);
      worst = difference <= worst ? worst : difference; // a NaN is the worst
    }
  }
  runner.reset();
  const least = answers.reduce((a, b) => Math.min(a, b));
  const most = answers.reduce((a, b) => Math.max(a, b));
  const unit = reference.of === "spread" ? most - least : Math.max(-least, most);
  return { difference: worst / unit, tolerance: reference.tolerance };
}
