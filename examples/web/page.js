/** The page: `model.tflite` beside it answers for every picture that is dropped; another `.tflite` takes its place. */

import {open} from './recognise.js';

const TOP = 5;
const [here, choose, status, answers] = ['here', 'choose', 'status', 'answers'].map(
    (id) => document.getElementById(id));
let model;

async function take(files) {
  for (const file of files) {
    try {
      if (file.name.endsWith('.tflite')) await use(file.name, await file.arrayBuffer());
      else if (model) await show(file);
      else status.textContent = 'Drop a .tflite file first.';
    } catch (error) {
      status.textContent = `${file.name}: ${error.message}`;
    }
  }
}

async function use(name, buffer) {
  const opened = await open(buffer);
  model?.close();
  model = opened;
  status.textContent = `${name}: ${model.labels.length} classes. Pictures stay on this device.`;
}

async function show(file) {
  const found = await model.answer(file);
  const figure = document.createElement('figure');
  figure.dataset.name = file.name;
  const image = new Image();
  image.src = URL.createObjectURL(file);
  image.alt = file.name;
  image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
  const list = document.createElement('ol');
  list.append(...found.slice(0, TOP).map(({label, probability}, place) => {
    const row = document.createElement('li');
    row.className = (model.several ? probability > 0.5 : place === 0) ? 'said' : '';
    const value = document.createElement('data');
    value.value = probability;
    value.textContent = ` ${(100 * probability).toFixed(1)} %`;
    row.append(label, value);
    return row;
  }));
  figure.append(image, list);
  answers.prepend(figure);
}

for (const kind of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    here.classList.toggle('over', kind === 'dragover');
    if (kind === 'drop') take([...event.dataTransfer.files]);
  });
}
choose.addEventListener('change', () => take([...choose.files]));

const response = await fetch('model.tflite').catch(() => null);
if (response?.ok) {
  await use('model.tflite', await response.arrayBuffer())
      .catch((error) => status.textContent = `model.tflite: ${error.message}`);
} else {
  status.textContent = 'No model.tflite beside this page: drop one here.';
}
