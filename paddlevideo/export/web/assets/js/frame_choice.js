// Which frames the network sees: those that are nearest to its own rate, by their times.

const EARLY_SECONDS = 1e-3; // containers round times to a millisecond
const BACKWARDS_SECONDS = 1; // further back, a stream has begun anew
const TIE_SECONDS = 1e-6;
const LONGEST_GAP_SECONDS = 10; // of a recording that is filled with the frame before it

/** Of a live source: the first frame at or behind each moment; nothing is made up. */
export class FrameClock {
  constructor(rate) {
    this.rate = rate;
    this.reset();
  }

  reset() {
    this.origin = null;
    this.last = 0;
    this.tick = 0;
  }

  /** Whether the frame of this time is wanted; `startsAnew`: it is the first of a stream. */
  take(seconds) {
    if (this.origin === null || seconds < this.last - BACKWARDS_SECONDS) {
      this.origin = seconds;
      this.last = seconds;
      this.tick = 0;
      return { wanted: true, startsAnew: true };
    }
    const tick = Math.floor((seconds - this.origin + EARLY_SECONDS) * this.rate);
    if (tick <= this.tick) {
      return { wanted: false, startsAnew: false };
    }
    this.tick = tick;
    this.last = seconds;
    return { wanted: true, startsAnew: false };
  }
}

/**
 * Of a recording: the frame nearest to each moment 0, 1 / rate, 2 / rate ..., of two equally near
 * the earlier. For that the frame behind a moment is waited for.
 */
export class FramePicker {
  constructor(rate) {
    this.rate = rate;
    this.reset();
  }

  /** Begin at the moment behind this time, as when a recording is wound to another place. */
  reset(seconds = 0) {
    this.tick = Math.max(0, Math.ceil(seconds * this.rate - TIE_SECONDS));
    this.last = null;
  }

  /**
   * Whether a frame of this time may be the nearest to a moment: then it has to be offered with its
   * picture. `interval`: seconds to the next one, as far as is known.
   */
  mayMatter(seconds, interval) {
    return this.last === null || seconds + 2 * interval >= this.tick / this.rate;
  }

  /** The moments that are decided now, each with this frame or the one before. */
  offer(seconds, frame) {
    const chosen = [];
    if (this.last === null) {
      for (; this.moment() <= seconds + TIE_SECONDS; this.tick++) {
        chosen.push({ seconds: this.moment(), frame });
      }
    } else {
      if (seconds - this.last.seconds > LONGEST_GAP_SECONDS) {
        this.tick = Math.max(this.tick, Math.ceil((seconds - LONGEST_GAP_SECONDS) * this.rate));
      }
      for (; this.moment() <= seconds + TIE_SECONDS; this.tick++) {
        const moment = this.moment();
        const before = moment - this.last.seconds <= seconds - moment + TIE_SECONDS;
        chosen.push({ seconds: moment, frame: before ? this.last.frame : frame });
      }
    }
    this.last = { seconds, frame };
    return chosen;
  }

  moment() {
    return this.tick / this.rate;
  }
}
