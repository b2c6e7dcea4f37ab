// The bundle's own preprocessing, from the picture of a canvas to what the network takes.

import { crop, resize, roundHalfEven } from "./resize.js";

/**
 * What the network takes of a picture: [3, height, width] as one typed array, red plane first.
 *
 * picture: {width, height, data} with four bytes a pixel; steps: of model.json.
 */
export function preprocess(picture, steps, shape) {
  let scaling = null;
  for (const step of steps) {
    switch (step.step) {
      case "scale":
        picture = scaled(picture, step);
        break;
      case "resize":
        picture = resize(picture, step.height, step.width, step.antialias);
        break;
      case "crop":
        picture = centreCrop(picture, step);
        break;
      case "normalize":
        scaling = step;
        break;
      default:
        throw new Error(`model.json asks for the step ${step.step}, which this page does not know`);
    }
  }
  const [, , height, width] = shape;
  if (picture.height !== height || picture.width !== width) {
    throw new Error(
      `a frame becomes ${picture.width}x${picture.height} pixels, but the model takes ` +
        `${width}x${height}`,
    );
  }
  return scaling === null ? bytePlanes(picture) : floatPlanes(picture, scaling);
}

function scaled(picture, step) {
  const short = Math.min(picture.width, picture.height);
  const long = Math.max(picture.width, picture.height);
  const size = step.short_size;
  if (short === size) {
    return picture;
  }
  const longSize = {
    four_thirds: () => Math.trunc((size * 4) / 3),
    square: () => size,
    rounded: () => Math.trunc(long * (size / short) + 0.5),
    floored: () => Math.trunc((long * size) / short),
  }[step.long_side]();
  const upright = picture.width <= picture.height;
  const [height, width] = upright ? [longSize, size] : [size, longSize];
  return resize(picture, height, width, step.antialias);
}

function centreCrop(picture, { size, round }) {
  if (Math.min(picture.width, picture.height) < size) {
    throw new Error(
      `frames are ${picture.width}x${picture.height} pixels, smaller than the crop of ${size}`,
    );
  }
  const [left, top] = [picture.width - size, picture.height - size].map((free) =>
    round ? roundHalfEven(free / 2) : Math.floor(free / 2),
  );
  return crop(picture, left, top, size, size);
}

function bytePlanes({ width, height, data }) {
  const pixels = width * height;
  const planes = new Uint8Array(3 * pixels);
  for (let i = 0, at = 0; i < pixels; i++, at += 4) {
    planes[i] = data[at];
    planes[pixels + i] = data[at + 1];
    planes[2 * pixels + i] = data[at + 2];
  }
  return planes;
}

function floatPlanes({ width, height, data }, { mean, std }) {
  const pixels = width * height;
  const planes = new Float32Array(3 * pixels);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < pixels; i++) {
      const value = Math.fround(data[4 * i + c] / 255);
      planes[c * pixels + i] = Math.fround(value - mean[c]) / std[c];
    }
  }
  return planes;
}
