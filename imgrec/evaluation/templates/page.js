// The page's own script: the page can be read without it. It sorts tables, switches between light and dark, copies an
// image's id, and says in the navigation where the reader is.
"use strict";
(() => {
  const root = document.documentElement;
  const STORED = "imgrec-scheme";

  // ---- light or dark: at once, before anything is painted
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => {
    try { return localStorage.getItem(STORED); } catch { return null; } // some browsers keep nothing of files
  };
  const choose = (scheme) => {
    if (scheme === "light" || scheme === "dark") root.dataset.scheme = scheme;
    else delete root.dataset.scheme;
  };
  const switchScheme = () => {
    const now = root.dataset.scheme ?? (system.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    const own = next === (system.matches ? "dark" : "light") ? null : next; // back to the system's: follow it again
    choose(own);
    try {
      if (own) localStorage.setItem(STORED, own);
      else localStorage.removeItem(STORED);
    } catch { /* then it holds for this page */ }
  };
  choose(remembered());

  // ---- tables
  const MISSING = /^(|[-–—]|nan|none)$/i;
  // "91.2 %", "1,234", "> 99.9 %", "−0.5", "2.1e-05", "80.0 (78–82)"; but no date and no "3rd".
  const NUMBER = /^([<>≤≥≈~=±]?)\s*([-−+]?)((?:\d[\d,]*)?\.?\d+(?:e[-+]?\d+)?|inf)(?=$|[\s%(×°±])/i;

  /** What a cell says: null where nothing, else its number and its text. */
  const read = (cell) => {
    const text = (cell?.dataset.value ?? cell?.textContent ?? "").trim().replace(/\s+/g, " ");
    if (MISSING.test(text)) return null;
    const found = NUMBER.exec(text);
    if (!found) return { text, number: NaN };
    const [, bound, sign, digits] = found;
    const size = digits.toLowerCase() === "inf" ? Infinity : Number(digits.replaceAll(",", ""));
    const beyond = bound === ">" ? 1e-9 : bound === "<" ? -1e-9 : 0; // "> 99.9 %" stands after 99.9 %
    return { text, number: (sign === "-" || sign === "−" ? -size : size) + beyond };
  };

  const sorter = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const collator = new Intl.Collator(root.lang, { numeric: true });
    return (head) => {
      const column = [...head.parentElement.cells].indexOf(head);
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      if (order === null) return body.append(...original);
      head.setAttribute("aria-sort", order);
      const rows = original.map((row) => [row, read(row.cells[column])]);
      const known = rows.filter(([, value]) => value);
      const missing = rows.filter(([, value]) => !value);
      const numeric = known.every(([, value]) => !Number.isNaN(value.number));
      const sign = order === "ascending" ? 1 : -1;
      known.sort(([, a], [, b]) =>
        sign * (numeric ? a.number - b.number || 0 : collator.compare(a.text, b.text)));
      body.append(...[...known, ...missing].map(([row]) => row)); // what is missing is last in both orders
    };
  };

  const sortable = (table) => {
    const heads = table.tHead?.rows.length === 1 ? [...table.tHead.rows[0].cells] : [];
    const plain = [...table.rows].every((row) => [...row.cells].every((c) => c.colSpan === 1 && c.rowSpan === 1));
    return plain && table.tBodies.length === 1 && table.tBodies[0].rows.length > 1 && heads.length > 1
      && !table.matches(".matrix, [data-unsorted]");
  };

  const letSort = (table) => {
    const sort = sorter(table);
    for (const head of table.tHead.rows[0].cells) {
      if (!head.textContent.trim()) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(head));
      head.append(button);
    }
  };

  // ---- ids of images: the whole of one, selected, and copied where the browser lets a page do that
  const take = (id) => {
    id.focus();
    getSelection().selectAllChildren(id);
    const said = document.querySelector(".copied");
    navigator.clipboard?.writeText(id.textContent).then(() => {
      said.textContent = `${said.dataset.words}: ${id.textContent}`;
      clearTimeout(take.timer);
      take.timer = setTimeout(() => { said.textContent = ""; }, 1600);
    }, () => {});
  };

  // ---- where the reader is
  const follow = () => {
    const contents = document.querySelector(".contents");
    const here = contents.querySelector(".here");
    const links = [...document.querySelectorAll(".contents a, .beside a")];
    const watch = new IntersectionObserver((entries) => {
      const entered = entries.find((entry) => entry.isIntersecting);
      if (!entered) return;
      for (const link of links) {
        const current = link.hash === `#${entered.target.id}`;
        if (current) here.textContent = link.textContent;
        link.toggleAttribute("aria-current", current);
      }
    }, { rootMargin: "-45px 0px -75% 0px" });
    for (const section of document.querySelectorAll("main > section[id]")) watch.observe(section);
    contents.addEventListener("click", (event) => { if (event.target.closest("a")) contents.open = false; });
  };

  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector(".scheme");
    button.hidden = false;
    button.addEventListener("click", switchScheme);
    for (const table of document.querySelectorAll("main table")) if (sortable(table)) letSort(table);
    for (const id of document.querySelectorAll(".id")) id.tabIndex = 0;
    addEventListener("click", (event) => { const id = event.target.closest?.(".id"); if (id) take(id); });
    addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches?.(".id")) take(event.target); });
    follow();
  });

  // ---- on paper nothing can be opened
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
})();
