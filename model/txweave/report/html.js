"use strict";
// Adds to a page that is complete without it: the filter, and the states of a counterexample step by step.

const data = JSON.parse(document.getElementById("states").textContent);
let current = null;

function make(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

// A value with what it was before, where that is something else.
function cell(before, after) {
  const found = make("td");
  if (Array.isArray(after)) {
    const old = new Map(before);
    for (const [name, value] of after) {
      const line = make("div");
      line.append(`${name} = `, ...cell(old.get(name), value).childNodes);
      found.append(line);
    }
  } else if (before === after) found.textContent = after;
  else {
    if (before) found.append(make("del", before), " ");
    found.append(make("ins", after === undefined ? "" : after));
  }
  return found;
}

function table(title, keys, rows) {
  const box = make("div"), grid = make("table"), head = make("tr");
  const columns = [...new Set(rows.flatMap(row => (row.after || row.before).map(pair => pair[0])))];
  for (const name of [...keys, ...columns]) head.append(make("th", name));
  grid.append(head);
  for (const row of rows) {
    const line = make("tr", undefined, row.kind);
    for (const word of row.words) {
      const first = make("th");
      first.append(row.before && row.after ? word : make(row.after ? "ins" : "del", word));
      line.append(first);
    }
    const before = new Map(row.before || []), after = new Map(row.after || []);
    for (const name of columns) line.append(cell(row.before ? before.get(name) : row.after ? "" : undefined, row.after ? after.get(name) : undefined));
    grid.append(line);
  }
  const wide = make("div", undefined, "wide");
  wide.append(rows.length ? grid : make("span", "no row", "dim"));
  box.append(make("h3", title), wide);
  return box;
}

// Rows of two states side by side, by their labels, in the order of the newer one; rows that are gone come last.
function merged(before, after, label, words, values, kind) {
  const old = new Map(before.map(row => [label(row), row])), now = new Set(after.map(label));
  const rows = after.map(row => ({ words: words(row), before: old.has(label(row)) ? values(old.get(label(row))) : null, after: values(row), kind }));
  for (const row of before) if (!now.has(label(row))) rows.push({ words: words(row), before: values(row), after: null, kind });
  return rows;
}

function show(before, after) {
  const all = make("div", undefined, "tables");
  after.tables.forEach((now, index) => {
    const old = before.tables[index];
    all.append(table(now.name, [""], merged(old.rows, now.rows, r => r[0], r => [r[0]], r => r[1], "")));
    const versions = merged(old.versions, now.versions, r => JSON.stringify([r[0], r[2]]), r => [`${r[0]}: ${r[1]} ${r[2]}`], r => r[3], "uncommitted");
    if (versions.length) all.append(table(`${now.name}, uncommitted`, [""], versions));
  });
  all.append(table("processes", [""], merged(before.processes, after.processes, r => r[0], r => [r[0]], r => r[1], "")));
  if (after.bound) all.append(make("p", `out of bounds: ${after.bound}`, "broken"));
  return all;
}

class States {
  constructor(id, story) {
    this.id = id;
    this.story = story;
    this.at = null;
    this.section = document.getElementById(id);
    this.box = make("div", undefined, "states");
    this.back = make("button", "◀");
    this.forth = make("button", "▶");
    this.line = make("span", "The states, step by step: ▶, or the arrow keys", "dim");
    this.body = make("div");
    this.line.setAttribute("aria-live", "polite");
    this.back.title = "One step back (arrow left)";
    this.forth.title = "One step forward (arrow right)";
    this.back.disabled = true;
    this.back.onclick = () => this.move(-1);
    this.forth.onclick = () => this.move(1);
    const nav = make("nav");
    nav.append(this.back, this.forth, this.line);
    this.box.append(nav, this.body);
    this.section.querySelector(".picture").after(this.box);
    for (const group of this.section.querySelectorAll("g[data-step]")) group.onclick = () => this.go(Number(group.dataset.step));
    this.section.addEventListener("pointerenter", () => { current = this; });
    this.section.addEventListener("focusin", () => { current = this; });
  }

  move(by) {
    this.go(this.at === null ? 0 : this.at + by);
  }

  go(number, link = true) {
    const { steps, initial } = this.story;
    if (!(number >= 0 && number <= steps.length)) return;
    current = this;
    this.at = number;
    const state = n => n ? steps[n - 1].state : initial;
    this.back.disabled = number === 0;
    this.forth.disabled = number === steps.length;
    this.line.className = "";
    let words = number ? steps[number - 1].line : "the initial state";
    if (number === steps.length && this.story.loop !== null) {
      words += this.story.loop < number ? `; and from here on again from step ${this.story.loop + 1}, for ever` : "; and then nothing moves any more";
    }
    this.line.textContent = words;
    this.body.replaceChildren(show(state(Math.max(number - 1, 0)), state(number)));
    this.mark(number);
    if (link) history.replaceState(null, "", number ? `#${this.id}-step-${number}` : `#${this.id}`);
  }

  // The step's band in the picture.
  mark(number) {
    for (const old of this.section.querySelectorAll(".here")) old.remove();
    const group = number && document.getElementById(`${this.id}-step-${number}`);
    if (!group) return;
    const svg = group.ownerSVGElement, box = group.getBBox();
    const band = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ class: "here", x: 8, y: box.y - 6, width: svg.viewBox.baseVal.width - 16, height: box.height + 12, rx: 4 })) band.setAttribute(name, value);
    svg.insertBefore(band, svg.querySelector("g"));
    group.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

const stories = new Map(Object.entries(data).map(([id, story]) => [id, new States(id, story)]));
current = stories.values().next().value || null;

function follow() {
  let id = location.hash.slice(1);
  try { id = decodeURIComponent(id); } catch { return; }
  const step = /^(.*)-step-([0-9]+)$/.exec(id);
  const found = stories.get(step ? step[1] : id);
  if (!found) return;
  current = found;
  found.section.querySelector("details").open = true;
  if (step) found.go(Number(step[2]), false);
}
window.addEventListener("hashchange", follow);
follow();

document.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("input, .wide:not(.picture)")) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && current && !current.section.hidden) {
    event.preventDefault();
    current.move(by);
  }
});

for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
document.getElementById("filter").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of document.querySelectorAll(".verdicts tbody tr, .story, main > section > ul > li")) {
    const text = element.textContent.toLowerCase();
    element.hidden = !words.every(word => text.includes(word));
  }
});
