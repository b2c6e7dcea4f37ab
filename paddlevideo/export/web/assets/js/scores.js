// From logits to the best classes.

/** Probabilities, as a new array. */
export function softmax(logits) {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const result = Float32Array.from(logits, (value) => Math.exp(value - largest));
  const sum = result.reduce((a, b) => a + b, 0);
  return result.map((value) => value / sum);
}

/** The numbers of the `count` best classes, best first; of equal ones the first. */
export function bestClasses(probabilities, count) {
  const best = [];
  for (let i = 0; i < probabilities.length; i++) {
    let place = best.length;
    while (place > 0 && probabilities[best[place - 1]] < probabilities[i]) {
      place -= 1;
    }
    if (place < count) {
      best.splice(place, 0, i);
      best.length = Math.min(best.length, count);
    }
  }
  return best;
}

/** A probability as per cent, whole ones. */
export function percent(probability) {
  const rounded = Math.round(100 * probability);
  return rounded === 0 && probability > 0 ? "< 1 %" : `${rounded} %`;
}
