"use strict";

const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
let token = "";
let waiting = null;
let shown = "";
let map = "";
let turn = 0;

function say(words) {
  at("status").textContent = words;
}

async function post(path, picture) {
  const headers = { "Content-Type": picture.type || "application/octet-stream" };
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch(path, { method: "POST", headers, body: picture });
}

async function recognise(picture) {
  const mine = ++turn;
  waiting = picture;
  say("Looking …");
  let answer;
  try {
    const response = await post("predict", picture);
    answer = await response.json();
    if (mine !== turn) return;
    if (response.status === 401) {
      at("unlock").hidden = false;
      at("token").focus();
      say(token ? "That is not the token." : "");
      return;
    }
    if (!response.ok) {
      at("answer").hidden = true;
      say(answer.error);
      return;
    }
  } catch (error) {
    if (mine === turn) say("The server does not answer.");
    return;
  }
  waiting = null;
  at("unlock").hidden = true;
  say("");
  show(picture, answer);
}

function show(picture, answer) {
  URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(picture);
  at("picture").src = shown;
  if (answer.label !== undefined) {
    at("said").textContent = `${answer.label}, ${percent(answer.probability)} sure`;
  } else if (answer.labels !== undefined) {
    at("said").textContent = answer.labels.length ? answer.labels.join(", ") : "None of the classes";
  } else {
    at("said").textContent = "";
  }
  at("withheld").hidden = !answer.abstained;
  at("set").hidden = !answer.set;
  if (answer.set) {
    const names = answer.set.length ? answer.set.join(", ") : "none of the classes";
    const share = answer.coverage ? `, with ${percent(answer.coverage)} certainty` : "";
    at("set").textContent = `It is one of these${share}: ${names}`;
  }
  at("top").replaceChildren(...(answer.top || []).map(row));
  at("model").textContent = `${answer.model.name}, version ${answer.model.version.slice(0, 12)}, request ${answer.id}`;
  at("looked").hidden = true;
  if (answer.model.explains) look(picture, turn);
  at("answer").hidden = false;
  at("answer").scrollIntoView({ block: "nearest" });
}

async function look(picture, mine) {
  const response = await post("explain", picture);
  if (!response.ok || mine !== turn) return;
  URL.revokeObjectURL(map);
  map = URL.createObjectURL(await response.blob());
  at("map").src = map;
  at("looked").hidden = false;
}

function row(entry) {
  const line = document.createElement("li");
  const name = document.createElement("span");
  const share = document.createElement("span");
  const meter = document.createElement("meter");
  name.textContent = entry.label;
  share.textContent = percent(entry.probability);
  meter.value = entry.probability;
  meter.setAttribute("aria-label", `${entry.label}: ${percent(entry.probability)}`);
  line.append(name, share, meter);
  return line;
}

function take(files) {
  if (files.length > 1) say("One picture at a time: the first is taken.");
  if (files.length) recognise(files[0]);
}

for (const input of [at("choose"), at("photograph")]) {
  input.addEventListener("change", () => {
    take(input.files);
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("here").classList.add("over");
});
document.addEventListener("dragleave", () => at("here").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("here").classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
at("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value;
  if (waiting) recognise(waiting);
});
