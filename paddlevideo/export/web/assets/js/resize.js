// Resizing with the arithmetic of the libraries that the model was tested with, in whole numbers:
// OpenCV's INTER_LINEAR and Pillow's BILINEAR, which averages all pixels that fall together.
//
// A picture is {width, height, data}: four bytes a pixel as a canvas gives them. The fourth is
// never looked at.

const PIXEL = 4;
const LINEAR_BITS = 11; // OpenCV's
const ANTIALIAS_BITS = 22; // Pillow's

/** The picture at another size; the same one where it has that size. */
export function resize(picture, height, width, antialias) {
  if (picture.height === height && picture.width === width) {
    return picture;
  }
  return antialias ? antialiased(picture, height, width) : linear(picture, height, width);
}

/** A box cut out of the picture. */
export function crop(picture, left, top, width, height) {
  const data = new Uint8ClampedArray(width * height * PIXEL);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * picture.width + left) * PIXEL;
    data.set(picture.data.subarray(start, start + width * PIXEL), y * width * PIXEL);
  }
  return { width, height, data };
}

function linear(picture, height, width) {
  if (picture.height === 2 * height && picture.width === 2 * width) {
    return halved(picture, height, width); // as OpenCV does for this one ratio
  }
  const x = linearTaps(picture.width, width, true);
  const y = linearTaps(picture.height, height, false);
  const source = picture.data;
  const data = new Uint8ClampedArray(width * height * PIXEL);
  const row = picture.width * PIXEL;
  for (let i = 0, out = 0; i < height; i++) {
    const above = y.first[i] * row;
    const below = y.second[i] * row;
    const [weightAbove, weightBelow] = [y.firstWeight[i], y.secondWeight[i]];
    for (let j = 0; j < width; j++, out += PIXEL) {
      const left = x.first[j] * PIXEL;
      const right = x.second[j] * PIXEL;
      const [weightLeft, weightRight] = [x.firstWeight[j], x.secondWeight[j]];
      for (let c = 0; c < 3; c++) {
        const a = source[above + left + c] * weightLeft + source[above + right + c] * weightRight;
        const b = source[below + left + c] * weightLeft + source[below + right + c] * weightRight;
        const sum = ((weightAbove * (a >> 4)) >> 16) + ((weightBelow * (b >> 4)) >> 16);
        data[out + c] = (sum + 2) >> 2;
      }
    }
  }
  return { width, height, data };
}

/**
 * For each pixel of the result: the two pixels between which it lies, and their weights.
 *
 * atEdge: a pixel beyond an edge has the weights 1 and 0, as OpenCV has it along rows; from row to
 * row it takes the same pixel twice, which is rounded twice.
 */
function linearTaps(size, newSize, atEdge) {
  const taps = {
    first: new Int32Array(newSize),
    second: new Int32Array(newSize),
    firstWeight: new Int32Array(newSize),
    secondWeight: new Int32Array(newSize),
  };
  const scale = size / newSize;
  const one = 1 << LINEAR_BITS;
  for (let i = 0; i < newSize; i++) {
    const place = Math.fround((i + 0.5) * scale - 0.5);
    const first = Math.floor(place);
    const beyond = first < 0 || first >= size - 1;
    const share = atEdge && beyond ? 0 : Math.fround(place - first);
    taps.first[i] = Math.max(first, 0);
    taps.second[i] = Math.min(first + 1, size - 1);
    taps.firstWeight[i] = roundHalfEven(Math.fround(Math.fround(1 - share) * one));
    taps.secondWeight[i] = roundHalfEven(Math.fround(share * one));
  }
  return taps;
}

function halved(picture, height, width) {
  const source = picture.data;
  const data = new Uint8ClampedArray(width * height * PIXEL);
  const row = picture.width * PIXEL;
  for (let i = 0, out = 0; i < height; i++) {
    for (let j = 0; j < width; j++, out += PIXEL) {
      const at = 2 * i * row + 2 * j * PIXEL;
      for (let c = at; c < at + 3; c++) {
        const sum = source[c] + source[c + PIXEL] + source[c + row] + source[c + row + PIXEL];
        data[out + c - at] = (sum + 2) >> 2;
      }
    }
  }
  return { width, height, data };
}

function antialiased(picture, height, width) {
  let { data } = picture;
  if (picture.width !== width) {
    const taps = antialiasTaps(picture.width, width);
    data = alongAxis(data, taps, picture.height, picture.width * PIXEL, width * PIXEL, PIXEL, width);
  }
  if (picture.height !== height) {
    const taps = antialiasTaps(picture.height, height);
    data = alongAxis(data, taps, width, PIXEL, PIXEL, width * PIXEL, height);
  }
  return { width, height, data };
}

/**
 * Weighted sums along one axis.
 *
 * lines: how many there are; sourceLine, targetLine: bytes from one line to the next;
 * along: bytes from one pixel of a line to the next; newSize: pixels of a line of the result.
 */
function alongAxis(source, taps, lines, sourceLine, targetLine, along, newSize) {
  const data = new Uint8ClampedArray(lines * newSize * PIXEL);
  const half = 1 << (ANTIALIAS_BITS - 1);
  for (let i = 0; i < newSize; i++) {
    const begin = taps.begin[i];
    const weights = taps.weights[i];
    const count = weights.length;
    for (let line = 0; line < lines; line++) {
      let at = line * sourceLine + begin * along;
      let [red, green, blue] = [half, half, half];
      for (let k = 0; k < count; k++, at += along) {
        const weight = weights[k];
        red += source[at] * weight;
        green += source[at + 1] * weight;
        blue += source[at + 2] * weight;
      }
      const out = line * targetLine + i * along;
      data[out] = red >> ANTIALIAS_BITS;
      data[out + 1] = green >> ANTIALIAS_BITS;
      data[out + 2] = blue >> ANTIALIAS_BITS;
    }
  }
  return data;
}

/** For each pixel of the result: the first pixel that it shows, and the weights from there on. */
function antialiasTaps(size, newSize) {
  const scale = size / newSize;
  const support = Math.max(scale, 1); // of a triangle, in pixels of the source
  const begin = new Int32Array(newSize);
  const weights = [];
  for (let i = 0; i < newSize; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const last = Math.min(Math.trunc(centre + support + 0.5), size);
    const shares = [];
    let sum = 0;
    for (let x = first; x < last; x++) {
      const share = Math.max(1 - Math.abs((x - centre + 0.5) / support), 0);
      shares.push(share);
      sum += share;
    }
    begin[i] = first;
    weights.push(
      Int32Array.from(shares, (share) => Math.trunc(0.5 + (share / sum) * (1 << ANTIALIAS_BITS))),
    );
  }
  return { begin, weights };
}

/** Halves to even, as Python and OpenCV round. */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) {
    return rest < 0.5 ? below : below + 1;
  }
  return below % 2 === 0 ? below : below + 1;
}
