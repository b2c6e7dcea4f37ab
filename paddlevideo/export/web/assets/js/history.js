// The probabilities of the last steps, in memory of a fixed size.

/** A ring of `length` steps of `numClasses` probabilities. */
export class History {
  constructor(numClasses, length) {
    this.numClasses = numClasses;
    this.length = length;
    this.values = new Float32Array(numClasses * length);
    this.times = new Float64Array(length);
    this.begins = new Uint8Array(length); // 1 where the network began anew
    this.clear();
  }

  clear() {
    this.count = 0;
    this.sums = new Float64Array(this.numClasses);
  }

  push(probabilities, time, begins) {
    const place = this.count % this.length;
    const row = this.row(place);
    if (this.count >= this.length) {
      row.forEach((value, i) => {
        this.sums[i] -= value;
      });
    }
    row.set(probabilities);
    probabilities.forEach((value, i) => {
      this.sums[i] += value;
    });
    this.times[place] = time;
    this.begins[place] = begins ? 1 : 0;
    this.count += 1;
  }

  row(place) {
    return this.values.subarray(place * this.numClasses, (place + 1) * this.numClasses);
  }

  /** Calls `use(time, probabilities, begins)` for each step that is kept, the oldest first. */
  forEach(use) {
    for (let i = Math.max(0, this.count - this.length); i < this.count; i++) {
      const place = i % this.length;
      use(this.times[place], this.row(place), this.begins[place] === 1);
    }
  }
}
