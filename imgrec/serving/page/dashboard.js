"use strict";

const at = (id) => document.getElementById(id);
const EVERY = 5000;
const MOST_ROWS = 720;
const WIDTH = 360;
const HEIGHT = 150;
const LEFT = 44;
const BOTTOM = 18;
let token = "";
let rows = [];
let timer = 0;

function element(name, words, kind) {
  const made = document.createElement(name);
  if (words !== undefined) made.textContent = words;
  if (kind) made.className = kind;
  return made;
}

function drawn(name, values, words) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  if (words !== undefined) made.textContent = words;
  return made;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-2)) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}

const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

/* The largest value of an axis: 1, 2 or 5 times a power of ten. */
function roof(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value * 0.999);
}

/* A plot of lines over time. plot: title, unit, lines [{name, values}], and perhaps limit, logarithmic, top. */
function plotted(plot) {
  const figure = element("figure", undefined, "plot");
  const caption = element("figcaption", plot.title);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": plot.title });
  plot.lines.forEach((line, index) => {
    const last = line.values.filter((value) => value !== null).at(-1);
    caption.append(element("span", `${line.name} ${short(last)}${plot.unit}`, `k${index % 6}`));
  });
  const all = plot.lines.flatMap((line) => line.values).filter((value) => value !== null);
  if (all.length) axes(svg, plot, all);
  else svg.append(drawn("text", { x: LEFT, y: HEIGHT / 2, class: "empty" }, "nothing yet"));
  figure.append(caption, svg);
  return figure;
}

function axes(svg, plot, all) {
  const scaled = (value) => (plot.logarithmic ? Math.log10(Math.max(value, 1e-3)) : value);
  const most = Math.max(...all, plot.limit || 0);
  const low = plot.logarithmic ? -3 : 0;
  const high = plot.logarithmic ? Math.ceil(Math.min(scaled(most * 1.5), 12)) : plot.top || roof(most || 1);
  const first = rows[0].time;
  const last = Math.max(rows.at(-1).time, first + 60);
  const x = (time) => LEFT + ((WIDTH - LEFT - 4) * (time - first)) / (last - first);
  const y = (value) => {
    const share = (Math.min(scaled(value), high) - low) / (high - low);
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 8) * share;
  };
  const middle = plot.logarithmic ? Math.round((low + high) / 2) : (low + high) / 2;
  for (const value of [low, middle, high]) {
    const shown = plot.logarithmic ? 10 ** value : value;
    svg.append(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - 4, y1: y(shown), y2: y(shown) }));
    svg.append(drawn("text", { x: LEFT - 4, y: y(shown) + 4, "text-anchor": "end" }, short(shown)));
  }
  svg.append(drawn("text", { x: LEFT, y: HEIGHT - 4 }, clock(first)));
  svg.append(drawn("text", { x: WIDTH - 4, y: HEIGHT - 4, "text-anchor": "end" }, clock(last)));
  if (plot.limit) {
    svg.append(drawn("line", { class: "limit", x1: LEFT, x2: WIDTH - 4, y1: y(plot.limit), y2: y(plot.limit) }));
    svg.append(drawn("text", { x: LEFT + 4, y: y(plot.limit) - 4 }, `alarm at ${short(plot.limit)}`));
  }
  plot.lines.forEach((line, index) => {
    let path = "";
    let down = false;
    line.values.forEach((value, place) => {
      if (value !== null) path += `${down ? "L" : "M"}${x(rows[place].time).toFixed(1)} ${y(value).toFixed(1)}`;
      if (value !== null && !down) path += "h.1";
      down = value !== null;
    });
    svg.append(drawn("path", { d: path || "M0 0", class: `l${index % 6}` }));
  });
}

const column = (read) => rows.map((row) => { const value = read(row); return value === undefined ? null : value; });
const line = (name, read) => ({ name, values: column(read) });

function statuses(keep) {
  const found = [...new Set(rows.flatMap((row) => Object.keys(row.status)))].filter(keep).sort();
  return found.map((status) => line(status, (row) => row.status[status] || 0));
}

function plots(state) {
  const made = [
    { title: "Requests a second", unit: "", lines: [line("all", (row) => row.rate)] },
    { title: "Time to answer", unit: " ms", lines: ["p50", "p95", "p99"].map((name) => line(name, (row) => row[name])) },
    { title: "Requests in the queue", unit: "", lines: [line("waiting", (row) => row.waiting)] },
    { title: "Answered at once", unit: "", lines: [line("images", (row) => row.batch)] },
    { title: "Refused or failed a second", unit: "", lines: statuses((status) => status >= "400") },
    { title: "Mean probability", unit: "", top: 1, lines: [line("of the answer", (row) => row.confidence)] },
  ];
  at("plots").replaceChildren(...made.map(plotted));
}

function against(state) {
  const made = [];
  for (const version of state.versions.filter((each) => each.drift.evidence)) {
    const kinds = Object.keys(version.drift.evidence);
    const read = (kind) => (row) => (row.evidence[version.version] || {})[kind];
    made.push(plotted({
      title: `Evidence of drift, ${named(version)}`, unit: "", logarithmic: true, limit: version.drift.threshold,
      lines: kinds.map((kind) => line(kind, read(kind))),
    }));
  }
  const known = state.versions.filter((each) => each.classes.some((row) => row.now !== null || row.training !== null));
  at("drift").replaceChildren(...made, ...known.map(bars));
}

const named = (version) => version.called || `${version.name} ${version.version.slice(0, 8)}`;

function said(drift) {
  if (!drift.watched) return `not watched: ${drift.why}`;
  if (drift.alarm) return "alarm";
  return `none in ${drift.requests.toLocaleString()} requests`;
}

function versions(state) {
  at("versions").replaceChildren(...state.versions.map((version) => {
    const made = element("tr");
    const cells = [
      version.role, named(version), said(version.drift), `${version.platform}, ${short(version.milliseconds)} ms`,
      version.workers, version.waiting,
    ];
    made.append(...cells.map((words) => element("td", String(words), words === "alarm" ? "stands" : "")));
    return made;
  }));
}

function alarms(state) {
  const standing = new Set(
    state.versions.filter((each) => each.drift.alarm).map((each) => `${each.version}${each.drift.alarm.time}`),
  );
  at("raised").replaceChildren(...state.alarms.map((alarm) => {
    const stands = standing.has(alarm.version + alarm.time);
    const made = element("li", alarm.words, stands ? "stands" : "");
    const when = new Date(1000 * alarm.time).toLocaleString();
    made.append(element("small", `${when}, ${alarm.model} ${alarm.version.slice(0, 8)}${stands ? "" : ", cleared"}`));
    return made;
  }));
  const unwatched = state.versions.filter((each) => !each.drift.watched);
  at("calm").textContent = state.alarms.length ? "" : "None since the server started.";
  if (unwatched.length) at("calm").textContent += ` Drift is not watched for ${unwatched.map(named).join(", ")}.`;
  at("restart").hidden = !standing.size;
}

/* Bars of class rates: now, and in training beside it. */
function bars(version) {
  const shown = version.classes.filter((each) => each.now !== null || each.training !== null);
  const figure = element("figure", undefined, "plot");
  const caption = element("figcaption", `Classes, ${named(version)}`);
  caption.append(element("span", "in training", "b1"), element("span", "about the last hour", "b0"));
  const height = 30 * shown.length + 4;
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": caption.textContent });
  const most = Math.max(...shown.flatMap((each) => [each.now || 0, each.training || 0]), 1e-6);
  shown.forEach((each, index) => {
    const top = 30 * index + 2;
    const name = each.label.length > 16 ? `${each.label.slice(0, 15)}…` : each.label;
    const words = drawn("text", { x: 0, y: top + 16 }, name);
    words.append(drawn("title", {}, each.label));
    svg.append(words);
    [each.training, each.now].forEach((share, which) => {
      const wide = (150 * (share || 0)) / most;
      const bar = { class: `f${1 - which}`, x: 110, y: top + 12 * which, width: wide, height: 10 };
      svg.append(drawn("rect", bar));
      svg.append(drawn("text", { x: 116 + wide, y: top + 9 + 12 * which }, percent(share)));
    });
  });
  figure.append(caption, svg);
  return figure;
}

function show(state) {
  at("all").hidden = false;
  versions(state);
  alarms(state);
  plots(state);
  against(state);
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) {
    at("unlock").hidden = false;
    at("all").hidden = true;
    at("token").focus();
    at("status").textContent = token ? "That is not the token." : "";
    return null;
  }
  if (!response.ok) throw new Error((await response.json()).error);
  at("unlock").hidden = true;
  return response.json();
}

async function look() {
  clearTimeout(timer);
  const span = at("span").value;
  const since = rows.length ? rows.at(-1).time : 0;
  try {
    const state = await ask(`status?span=${span}&since=${since}`);
    if (state === null || span !== at("span").value) return;
    rows = [...rows, ...state.rows].slice(-MOST_ROWS);
    show(state);
    at("status").textContent = state.ready ? "" : "The server is not ready.";
  } catch (error) {
    at("status").textContent = `No answer from the server at ${new Date().toLocaleTimeString()}; it is asked again.`;
  }
  clearTimeout(timer);
  timer = setTimeout(look, EVERY);
}

at("span").addEventListener("change", () => {
  rows = [];
  look();
});
at("restart").addEventListener("click", async () => {
  await ask("drift/restart", { method: "POST", headers: { "Content-Type": "application/json" } });
  look();
});
at("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value;
  look();
});
look();
