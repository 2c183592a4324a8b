/**
 * From a picture to the network's pixels, as `preprocess.json` says.
 *
 * Bilinear, widened where it shrinks, in whole numbers: as `imgrec/data/resize.py`, so that the pixels are
 * those of training. (A canvas's own scaling differs from browser to browser.)
 */

const UNIT = 1 << 16;

/**
 * Return uint8 RGB [height * width * 3] of a picture file.
 * @param {Blob} blob
 * @param {Object} how the content of preprocess.json
 */
export async function pixelsOf(blob, how) {
  if (how.adapt !== 'none') throw new Error(`this page has no step ${how.adapt}: train without it`);
  const picture = await decoded(blob);
  if (how.colour === 'grey') toGrey(picture.pixels);
  const [height, width] = how.size;
  if (picture.height === height && picture.width === width) return picture.pixels;
  return FITS[how.resize](picture, height, width, how);
}

/** Decode, upright, on white where the picture is transparent. */
async function decoded(blob) {
  const bitmap = await createImageBitmap(blob, {colorSpaceConversion: 'none', imageOrientation: 'from-image'});
  const {width, height} = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const {data} = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    pixels[to] = data[from];
    pixels[to + 1] = data[from + 1];
    pixels[to + 2] = data[from + 2];
  }
  return {pixels, width, height};
}

/** Three equal channels of ITU-R 601's luma, in place. */
function toGrey(pixels) {
  for (let at = 0; at < pixels.length; at += 3) {
    const luma = (pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 0x8000) >>> 16;
    pixels[at] = pixels[at + 1] = pixels[at + 2] = luma;
  }
}

const FITS = {
  stretch: (picture, height, width, how) => resampled(
      picture, whole(picture.height, height), whole(picture.width, width), how.antialias),

  crop: (picture, height, width, how) => {
    const scale = Math.max(height / picture.height, width / picture.width) / how.crop_fraction;
    const axis = (length, count) => {
      const resized = Math.max(count, rounded(length * scale));
      return {length, resized, first: Math.floor((resized - count) / 2), count};
    };
    return resampled(picture, axis(picture.height, height), axis(picture.width, width), how.antialias);
  },

  letterbox: (picture, height, width, how) => {
    const scale = Math.min(height / picture.height, width / picture.width);
    const high = Math.min(height, Math.max(1, rounded(picture.height * scale)));
    const wide = Math.min(width, Math.max(1, rounded(picture.width * scale)));
    const inner = resampled(picture, whole(picture.height, high), whole(picture.width, wide), how.antialias);
    const result = new Uint8Array(height * width * 3).fill(how.fill);
    const [top, left] = [Math.floor((height - high) / 2), Math.floor((width - wide) / 2)];
    for (let row = 0; row < high; row++) {
      result.set(inner.subarray(row * wide * 3, (row + 1) * wide * 3), ((top + row) * width + left) * 3);
    }
    return result;
  },
};

const whole = (length, count) => ({length, resized: count, first: 0, count});
const rounded = (value) => Math.floor(value + 0.5);

/** Rows first, then columns, each pass rounded to bytes. */
function resampled({pixels, width}, rows, columns, antialias) {
  const same = ({length, resized, count}) => length === resized && length === count;
  if (!same(rows)) pixels = along(pixels, rows, antialias, 1, 0, width * 3, width * 3);
  if (same(columns)) return pixels;
  return along(pixels, columns, antialias, rows.count, width * 3, 3, 3, columns.count * 3);
}

/**
 * Resample one direction: `repeats` lines that start `line` bytes apart; in a line, positions are `step` bytes
 * apart and `run` bytes long.
 */
function along(pixels, axis, antialias, repeats, line, step, run, outLine = 0) {
  const result = new Uint8Array(axis.count * step * repeats);
  weightsOf(axis, antialias).forEach(({start, weights}, position) => {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const from = repeat * line + start * step;
      const to = repeat * outLine + position * step;
      for (let byte = 0; byte < run; byte++) {
        let sum = UNIT / 2;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * pixels[from + k * step + byte];
        result[to + byte] = sum >>> 16;
      }
    }
  });
  return result;
}

/** For each output position its first input and the inputs' weights, whole parts of UNIT that sum to it. */
function weightsOf({length, resized, first, count}, antialias) {
  const scale = length / resized;
  const radius = antialias ? Math.max(scale, 1) : 1;
  return Array.from({length: count}, (_, position) => {
    const centre = (first + position + 0.5) * scale;
    const start = Math.max(Math.floor(centre - radius + 0.5), 0);
    const end = Math.min(Math.floor(centre + radius + 0.5), length);
    const shares = Array.from({length: end - start},
        (_, k) => Math.max(0, 1 - Math.abs(start + k + 0.5 - centre) / radius));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const weights = shares.map((share) => Math.floor(share / total * UNIT + 0.5));
    // Rounding may miss the unit by a few parts: the heaviest pixel takes them.
    const heaviest = weights.indexOf(Math.max(...weights));
    weights[heaviest] += UNIT - weights.reduce((sum, weight) => sum + weight, 0);
    return {start, weights};
  });
}
