// From a playing <video> to the network: which of its frames are shown to it, and when to wait.

import { FrameClock, FramePicker } from "./frame_choice.js";

const MOST_WAITING_LIVE = 2; // one is computed and one waits; a newer one is left out
const MOST_WAITING_RECORDED = 4; // then a recording pauses, so that no frame of it is lost
const FIRST_INTERVAL_SECONDS = 1 / 15; // between frames, until two of them were seen

/**
 * Follows one video.
 *
 * network: takes the frames; isLive: of a camera; rate: frames a second that the network wants;
 * onError: told what went wrong.
 */
export class FrameFeed {
  constructor(video, network, { isLive, rate, onError }) {
    this.video = video;
    this.network = network;
    this.isLive = isLive;
    this.choice = isLive ? new FrameClock(rate) : new FramePicker(rate);
    this.onError = onError;
    this.left = 0; // frames that were wanted and left out, because the device is too slow
    this.startsAnew = true;
    this.windowSeconds = 0; // 0: all that was seen is remembered
    this.windowStart = 0;
    this.stream = 0; // tells answers of this stream from those of one that was left
    this.interval = FIRST_INTERVAL_SECONDS;
    this.lastSeconds = null;
    this.stopped = false;
    this.pausedByUs = false;
    this.grabbing = Promise.resolve();
    this.onSeeking = () => this.wind();
    if (!isLive) {
      video.addEventListener("seeking", this.onSeeking);
    }
    this.next();
  }

  stop() {
    this.stopped = true;
    this.video.removeEventListener("seeking", this.onSeeking);
    this.choice.last?.frame?.close();
  }

  /** The next frame is the first that the network sees. */
  beginAnew() {
    this.startsAnew = true;
    this.stream += 1;
  }

  /** A frame was answered: go on where a recording had to wait. */
  answered() {
    if (this.pausedByUs && this.network.waiting <= 1 && !this.stopped) {
      this.pausedByUs = false;
      this.video.play().catch(() => {}); // paused or closed meanwhile: then it stays so
    }
  }

  wind() {
    this.choice.last?.frame?.close();
    this.choice.reset(this.video.currentTime);
    this.lastSeconds = null;
    this.beginAnew();
  }

  next() {
    if (this.stopped) {
      return;
    }
    const handle = (seconds) => {
      this.next();
      this.see(seconds);
    };
    if (this.video.requestVideoFrameCallback) {
      this.video.requestVideoFrameCallback((_now, { mediaTime }) => handle(mediaTime));
    } else {
      requestAnimationFrame(() => handle(this.video.currentTime));
    }
  }

  see(seconds) {
    if (this.stopped || seconds === this.lastSeconds || this.video.readyState < 2) {
      return;
    }
    if (this.lastSeconds !== null && seconds > this.lastSeconds) {
      this.interval = Math.min(seconds - this.lastSeconds, 1);
    }
    this.lastSeconds = seconds;
    if (this.isLive) {
      this.seeLive(seconds);
    } else {
      this.seeRecorded(seconds);
    }
  }

  seeLive(seconds) {
    const { wanted, startsAnew } = this.choice.take(seconds);
    if (!wanted) {
      return;
    }
    if (startsAnew) {
      this.beginAnew();
    }
    if (this.network.waiting >= MOST_WAITING_LIVE) {
      this.left += 1;
      return;
    }
    this.grab((bitmap) => this.send(bitmap, seconds, false));
  }

  seeRecorded(seconds) {
    if (!this.choice.mayMatter(seconds, this.interval)) {
      return;
    }
    const { stream } = this;
    this.grab((bitmap) => {
      if (stream !== this.stream) {
        bitmap.close(); // it was wound on meanwhile
        return;
      }
      const before = this.choice.last?.frame;
      for (const { seconds: moment, frame } of this.choice.offer(seconds, bitmap)) {
        this.send(frame, moment, true);
      }
      before?.close();
    });
    if (this.network.waiting >= MOST_WAITING_RECORDED && !this.video.paused) {
      this.pausedByUs = true;
      this.video.pause();
    }
  }

  /** The picture that is on the screen now, when its turn comes. */
  grab(use) {
    const made = createImageBitmap(this.video, { colorSpaceConversion: "none" });
    this.grabbing = this.grabbing.then(async () => {
      const bitmap = await made.catch(() => null);
      if (bitmap === null || this.stopped) {
        bitmap?.close();
        return;
      }
      use(bitmap);
    }, this.onError);
  }

  send(bitmap, time, lent) {
    const over = this.windowSeconds > 0 && time - this.windowStart >= this.windowSeconds - 1e-3;
    const startsAnew = this.startsAnew || over || time < this.windowStart;
    if (startsAnew) {
      this.windowStart = time;
    }
    this.startsAnew = false;
    this.network.send({ bitmap, time, startsAnew, stream: this.stream }, lent);
  }
}
