// The five best classes, each with a bar; and the best one in words for screen readers.

import { bestClasses, percent } from "./scores.js";

const COUNT = 5;
const SPOKEN_MILLISECONDS = 3000; // the best class is said at most so often

export class TopList {
  constructor(list, spoken, nameOf, numClasses) {
    this.nameOf = nameOf;
    this.spoken = spoken;
    this.lastSpoken = { index: -1, time: 0 };
    this.rows = Array.from({ length: Math.min(COUNT, numClasses) }, row);
    list.replaceChildren(...this.rows.map(({ item }) => item));
  }

  show(probabilities) {
    const best = bestClasses(probabilities, this.rows.length);
    this.rows.forEach(({ name, share, bar }, place) => {
      const probability = probabilities[best[place]];
      setText(name, this.nameOf(best[place]));
      setText(share, percent(probability));
      bar.style.transform = `scaleX(${probability.toFixed(3)})`;
    });
    this.speak(best[0], probabilities[best[0]]);
  }

  speak(index, probability) {
    const now = performance.now();
    const { index: before, time } = this.lastSpoken;
    if (index !== before && now - time >= SPOKEN_MILLISECONDS) {
      this.lastSpoken = { index, time: now };
      setText(this.spoken, `${this.nameOf(index)}, ${percent(probability)}`);
    }
  }
}

function row() {
  const item = document.createElement("li");
  const [name, share, track] = ["name", "share", "bar"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    return part;
  });
  const bar = document.createElement("i");
  bar.style.transform = "scaleX(0)";
  track.setAttribute("aria-hidden", "true");
  track.append(bar);
  name.textContent = "–";
  item.append(name, share, track);
  return { item, name, share, bar };
}

/** Write a text only where it changes. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
