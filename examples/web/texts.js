/** The texts that a file carries: a zip behind the network, its entries stored as they are. */

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const STORED = 0;

/**
 * Return text by name of what is inside a `.tflite`, such as `labels.txt`.
 * @param {ArrayBuffer} buffer
 * @returns {Object<string, string>}
 */
export function textsIn(buffer) {
  const view = new DataView(buffer);
  const end = endOf(view);
  const texts = {};
  // Places in the zip's list count from the file's beginning: the network stands before the zip.
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== ENTRY || view.getUint16(at + 10, true) !== STORED) {
      throw new Error('the names inside this file cannot be read: export it again');
    }
    const [length, name, extra, comment] = [
      view.getUint32(at + 24, true), view.getUint16(at + 28, true),
      view.getUint16(at + 30, true), view.getUint16(at + 32, true),
    ];
    const local = view.getUint32(at + 42, true);
    const data = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    texts[decoded(buffer, at + 46, name)] = decoded(buffer, data, length);
    at += 46 + name + extra + comment;
  }
  return texts;
}

function endOf(view) {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 65557); at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw new Error('no names inside this file: export it with imgrec');
}

function decoded(buffer, at, length) {
  return new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array(buffer, at, length));
}
