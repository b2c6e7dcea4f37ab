// The curves of the most likely classes over time, on a canvas, and their legend.

import { bestClasses, percent } from "./scores.js";

const COUNT = 5;
const DASHES = [[], [8, 4], [2, 3], [12, 3, 2, 3], [5, 2]]; // for eyes that tell no colours apart
const MARGIN = { left: 46, right: 8, top: 8, bottom: 20 };
const SPOKEN_MILLISECONDS = 2000;

export class Curve {
  constructor(canvas, legend, nameOf) {
    this.canvas = canvas;
    this.legend = legend;
    this.nameOf = nameOf;
    this.slots = new Array(COUNT).fill(null); // which class has which colour
    this.spoken = 0;
  }

  draw(history, seconds) {
    const best = bestClasses(history.sums, COUNT).filter((i) => history.sums[i] > 0);
    this.keepSlots(best);
    const context = this.fitted();
    const { width, height } = this.canvas.getBoundingClientRect();
    const style = getComputedStyle(this.canvas);
    const box = {
      left: MARGIN.left,
      top: MARGIN.top,
      width: width - MARGIN.left - MARGIN.right,
      height: height - MARGIN.top - MARGIN.bottom,
    };
    context.clearRect(0, 0, width, height);
    const newest = history.count ? history.times[(history.count - 1) % history.length] : 0;
    axes(context, box, style, seconds, newest);
    this.slots.forEach((index, slot) => {
      if (index !== null) {
        context.strokeStyle = style.getPropertyValue(`--curve-${slot}`);
        context.setLineDash(DASHES[slot]);
        line(context, box, history, index, newest, seconds);
      }
    });
    this.describe(history);
  }

  /** Classes that stay keep their colours; the legend is written where one changes. */
  keepSlots(best) {
    const old = [...this.slots];
    this.slots = this.slots.map((index) => (best.includes(index) ? index : null));
    for (const index of best) {
      if (!this.slots.includes(index)) {
        this.slots[this.slots.indexOf(null)] = index;
      }
    }
    if (this.slots.some((index, slot) => index !== old[slot])) {
      this.writeLegend();
    }
  }

  writeLegend() {
    const items = this.slots.map((index, slot) => {
      if (index === null) {
        return null;
      }
      const item = document.createElement("li");
      item.append(sample(slot), this.nameOf(index));
      return item;
    });
    this.legend.replaceChildren(...items.filter((item) => item !== null));
  }

  /** A canvas of the screen's own pixels, in CSS pixels. */
  fitted() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = globalThis.devicePixelRatio || 1;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== across || this.canvas.height !== down) {
      [this.canvas.width, this.canvas.height] = [across, down];
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  /** In words, now and then: what a screen reader finds in place of the picture. */
  describe(history) {
    const now = performance.now();
    if (now - this.spoken < SPOKEN_MILLISECONDS) {
      return;
    }
    this.spoken = now;
    const kept = Math.min(history.count, history.length);
    const shares = this.slots
      .filter((index) => index !== null)
      .map((index) => `${this.nameOf(index)} ${percent(history.sums[index] / kept)}`);
    this.canvas.setAttribute(
      "aria-label",
      shares.length
        ? `Mean probabilities over the time shown: ${shares.join(", ")}`
        : "Curves of the most likely classes over time; empty until a video runs",
    );
  }
}

function sample(slot) {
  const names = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(names, "svg");
  picture.setAttribute("viewBox", "0 0 24 10");
  picture.setAttribute("aria-hidden", "true");
  const stroke = document.createElementNS(names, "line");
  const places = { x1: 0, y1: 5, x2: 24, y2: 5, "stroke-dasharray": DASHES[slot].join(" ") };
  Object.entries(places).forEach(([name, value]) => stroke.setAttribute(name, value));
  stroke.setAttribute("class", `stroke-${slot}`);
  picture.append(stroke);
  return picture;
}

function axes(context, box, style, seconds, newest) {
  context.setLineDash([]);
  context.lineWidth = 1;
  context.strokeStyle = style.getPropertyValue("--line");
  context.fillStyle = style.getPropertyValue("--soft");
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const share of [0, 0.5, 1]) {
    const y = box.top + (1 - share) * box.height;
    context.beginPath();
    context.moveTo(box.left, y);
    context.lineTo(box.left + box.width, y);
    context.stroke();
    context.fillText(percent(share), box.left - 4, y);
  }
  context.textBaseline = "top";
  context.textAlign = "left";
  const below = box.top + box.height + 5;
  context.fillText(`${Math.max(0, newest - seconds).toFixed(0)} s`, box.left, below);
  context.textAlign = "right";
  context.fillText(`${Math.max(newest, seconds).toFixed(0)} s`, box.left + box.width, below);
}

function line(context, box, history, index, newest, seconds) {
  const end = Math.max(newest, seconds);
  context.lineWidth = 2;
  context.beginPath();
  let pen = false;
  history.forEach((time, probabilities, begins) => {
    const x = box.left + (1 - (end - time) / seconds) * box.width;
    const y = box.top + (1 - probabilities[index]) * box.height;
    if (x < box.left) {
      pen = false;
    } else if (pen && !begins) {
      context.lineTo(x, y);
    } else {
      context.moveTo(x, y);
      context.lineTo(x + 1, y); // a single point is seen too
      pen = true;
    }
  });
  context.stroke();
}
