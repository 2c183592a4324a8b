/** An exported file in the browser: bytes of a `.tflite` in, answers for pictures out. */

import {loadAndCompile, loadLiteRt, Tensor} from '@litertjs/core';

import {pixelsOf} from './preprocess.js';
import {textsIn} from './texts.js';

const WASM = new URL('./node_modules/@litertjs/core/wasm/', import.meta.url).href;
let runtime;

/**
 * Open a file; it says itself what its outputs are called and how a picture becomes its pixels.
 * @param {ArrayBuffer} buffer of a `.tflite` that imgrec exported
 */
export async function open(buffer) {
  const texts = textsIn(buffer);
  const labels = texts['labels.txt'].trimEnd().split('\n');
  const how = JSON.parse(texts['preprocess.json']);
  const several = JSON.parse(texts['task.json']).task === 'multilabel';
  runtime ??= loadLiteRt(WASM);
  await runtime;
  const model = await loadAndCompile(new Uint8Array(buffer), {accelerator: 'wasm'});
  const [height, width] = how.size;

  /** Return [{label, probability}] of every class, the most probable first. */
  async function answer(blob) {
    const input = new Tensor(await pixelsOf(blob, how), [1, height, width, 3]);
    const [output] = await model.run(input);
    const scores = Array.from(await output.data());
    input.delete();
    output.delete();
    return scores
        .map((probability, place) => ({label: labels[place], probability}))
        .sort((a, b) => b.probability - a.probability);
  }

  return {labels, several, answer, close: () => model.delete()};
}
