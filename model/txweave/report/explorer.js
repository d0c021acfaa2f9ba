// The explorer of a run: plain modern JavaScript, no build step, no network.  A notebook's widget and the HTML page use the same.
// What is shown is the document that report/explorer.py describes.  A backend has it, and answers messages: in a notebook
// Python does, on a page the page itself, with what it carries.  Text from a specification is only ever put in as text.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8, LANE = 20, ROW = 42;
const ENDED = new Set(["done", "failed", "crashed", "hung"]);

// ------------------------------------------------------------------------------------------------------------ elements

// An element: attributes as an object, `on…` functions among them; children are elements, strings, lists, or nothing.
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== "") element.append(child);
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

// -------------------------------------------------------------------------------------------------------------- states

export function applied(state, patch) {
  const tables = state.tables.slice(), processes = state.processes.slice();
  for (const [number, table] of patch.tables) tables[number] = table;
  for (const [number, process] of patch.processes) processes[number] = process;
  return { tables, processes, bound: patch.bound };
}

function statesOf(initial, patches) {
  const states = [initial];
  for (const patch of patches) states.push(applied(states[states.length - 1], patch));
  return states;
}

// A value, and what it was before where that is something else.
function change(before, after) {
  if (before === after || before === undefined) return [after ?? ""];
  const parts = [];
  if (before) parts.push(el("del", {}, before), el("span", { class: "twx-arrow", "aria-label": "becomes" }, after ? " → " : ""));
  if (after) parts.push(el("ins", {}, after));
  return parts;
}

// ------------------------------------------------------------------------------------------------------------- the page

export const HEAD = "txweave path 1";

// A path as text: the same as explorer/path.py writes.
export function pathText(shown) {
  const lines = [HEAD, `of: ${shown.heading}`];
  if (shown.property) lines.push(`shows: ${shown.property}`);
  shown.steps.forEach((step, index) => lines.push(`${index + 1}. ${step.label}`));
  if (shown.loop !== null) lines.push(shown.loop === shown.steps.length ? "loop: nothing moves" : `loop: from step ${shown.loop + 1}`);
  return lines.join("\n") + "\n";
}

// A page answers with what it carries: the counterexample, and the moves one step aside of it.
export class PageBackend {
  constructor(carried) {
    this.live = false;
    this.kept = [];
    this.first = { ...carried, common: carried.steps.length, original: carried.steps.length, undo: false };
    this.document = this.first;
    this.earlier = [];
  }

  async ask(message) {
    return { at: 0, ...this[message.do](message) };
  }

  go(shown, at) {
    if (shown !== this.document) {
      this.earlier.push(this.document);
      this.document = { ...shown, undo: true };
    }
    return { at };
  }

  original() { return this.go(this.first, this.first.steps.length); }
  text() { return { text: pathText(this.document) }; }
  take({ at, label }) { return this.aside(at, label); }

  undo() {
    if (!this.earlier.length) throw new Error("there is no earlier path");
    this.document = this.earlier.pop();
    return { at: Math.min(this.document.common, this.document.steps.length) };
  }

  // The path's own text brings back where it leads.
  restore({ text }) {
    const lines = text.split(/\r\n?|\n/).map(line => line.trim()).filter(Boolean);
    if (lines[0] !== HEAD) throw new Error(`a path begins with the line ${HEAD}`);
    let shown = { steps: [] }, of = "", shows = "", loop = "";
    for (const line of lines.slice(1)) {
      const step = /^\d+\.\s+(.*)$/.exec(line), pair = /^(of|shows|loop): (.*)$/.exec(line);
      if (loop) throw new Error("the loop is the last line of a path");
      if (step) shown = this.followed(shown, step[1]);
      else if (pair && pair[1] === "of" && !of) of = pair[2];
      else if (pair && pair[1] === "shows" && !shows) shows = pair[2];
      else if (pair && pair[1] === "loop") loop = pair[2];
      else throw new Error(`this is no line of a path: ${line}`);
    }
    const count = shown.steps.length;
    const given = pathText(this.first).trim().split("\n").slice(2 + count + (this.first.property ? 1 : 0)).join();
    if (shown.aside) {
      if (shows || loop) throw new Error("this page does not carry what the path is said to show: a notebook does");
      return { ...this.aside(count - 1, shown.steps[count - 1]), ...(of && of !== this.first.heading ? { note: `the path was written for ${of}` } : {}) };
    }
    const whole = count === this.first.steps.length;
    if ((shows && (shows !== this.first.property || !whole)) || (loop && (`loop: ${loop}` !== given || !whole))) {
      throw new Error("the path does not show here what it says that it shows");
    }
    const reply = whole ? this.go(this.first, 0) : this.go(this.cut(count, []), count);
    return of && of !== this.first.heading ? { ...reply, note: `the path was written for ${of}` } : reply;
  }

  followed(shown, label) {
    const at = shown.steps.length;
    if (shown.aside) throw new Error(`step ${at + 1}: this page carries what is one step beside the counterexample, and no more: a notebook goes on`);
    const mine = this.first.steps[at];
    if (mine && mine.label === label) return { steps: [...shown.steps, label] };
    const other = ((this.first.moves || [])[at] || []).find(move => move.label === label);
    if (!other) throw new Error(`step ${at + 1}: not possible here, or not carried by this page: ${label}`);
    return { steps: [...shown.steps, label], aside: true };
  }

  aside(at, label) {
    if (this.document.steps.length > at && this.document.steps[at].label === label) return { at: at + 1 };
    if (this.document.common < at) throw new Error("this page does not carry what follows: a notebook goes on");
    const mine = this.first.steps[at];
    if (mine && mine.label === label) return this.go(this.first, at + 1);
    const move = ((this.first.moves || [])[at] || []).find(one => one.label === label);
    if (!move || !move.patch) throw new Error("this page does not carry where this leads: a notebook does");
    return this.go(this.cut(at, [move]), at + 1);
  }

  cut(at, more) {
    const { first } = this, truths = first.truths && first.truths.slice(0, at + 1);
    for (const move of more) if (truths) truths.push(move.truths || null);
    return {
      ...first, property: "", broken: "", loop: null, steps: [...first.steps.slice(0, at), ...more], truths,
      moves: first.moves && [...first.moves.slice(0, at + 1), ...more.map(() => null)], common: at,
    };
  }
}

// ---------------------------------------------------------------------------------------------------------- the explorer

let explorers = 0;

export class Explorer {
  // `moved(at, own)`: called when another state is shown; `own`: on the original path.
  constructor(root, backend, { moved = () => {} } = {}) {
    this.backend = backend;
    this.moved = moved;
    this.number = ++explorers;
    this.at = 0;
    this.opened = new Map();
    this.answers = new Map();
    this.error = el("div", { class: "twx-error", role: "alert", hidden: true });
    this.bar = el("div", { class: "twx-bar", role: "toolbar", "aria-label": "Steps" });
    this.path = el("div", { class: "twx-path" });
    this.state = el("div", { class: "twx-state", role: "region", "aria-label": "The state" });
    this.tools = el("div", { class: "twx-tools" });
    this.root = el("div", {
      class: "twx", role: "group", "aria-label": "Explorer of a run", "data-lm-suppress-shortcuts": "true", onkeydown: event => this.key(event),
    }, this.error, this.bar, el("div", { class: "twx-main" }, this.path, this.state), this.tools);
    this.unwatch = themed(this.root);
    root.append(this.root);
    this.refresh();
  }

  get shown() { return this.backend.document; }
  get last() { return this.shown.steps.length; }

  // Another document, or another part of it.
  refresh(at = this.at) {
    this.guard(() => {
      const { shown } = this;
      this.states = statesOf(shown.initial, shown.steps.map(step => step.patch));
      this.beside = shown.beside && { ...shown.beside, states: statesOf(shown.beside.initial, shown.beside.patches) };
      this.lanes = shown.initial.processes.map(process => process.name);
      this.at = Math.max(0, Math.min(at, this.last));
      const focus = this.focused();
      this.path.replaceChildren(...this.drawPath());
      this.tools.replaceChildren(...this.drawTools());
      this.drawState();
      this.refocus(focus);
    });
  }

  // Another state of the same path.
  go(at, { tell = true, scroll = true } = {}) {
    if (!(at >= 0 && at <= this.last)) return;
    this.guard(() => {
      this.at = at;
      const focus = this.focused();
      for (const row of this.path.querySelectorAll("[data-at]")) {
        const here = Number(row.dataset.at) === at;
        row.tabIndex = here ? 0 : -1;
        if (here) row.setAttribute("aria-current", "step");
        else row.removeAttribute("aria-current");
      }
      this.drawState();
      this.refocus(focus);
      if (scroll) this.reveal();
      if (tell) this.moved(at, this.shown.common >= at);
    });
  }

  // The current step, within its list: the page itself does not move.
  reveal() {
    const row = this.path.querySelector(".twx-row[aria-current]"), list = this.path.querySelector(".twx-steps");
    if (!row || !list) return;
    const top = row.offsetTop, bottom = top + row.offsetHeight;
    if (top < list.scrollTop) list.scrollTop = top - ROW;
    else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight + ROW;
  }

  // Ask the backend, one question after the other; what goes wrong is shown.
  ask(message) {
    const whole = { at: this.at, ...message };
    this.asked = (this.asked || Promise.resolve()).then(() => this.answered(whole));
    return this.asked;
  }

  async answered(message) {
    this.busy = true;
    this.root.setAttribute("aria-busy", "true");
    try {
      const reply = await this.backend.ask(message);
      this.tell(reply.note || "", "note");
      return reply;
    } catch (error) {
      this.tell(error.message || String(error));
      return null;
    } finally {
      this.busy = false;
      this.root.removeAttribute("aria-busy");
    }
  }

  async change(message) {
    const reply = await this.ask(message);
    if (reply === null) return null;
    if (["take", "original", "undo", "restore"].includes(message.do)) this.answers.clear();
    this.refresh(reply.at);
    this.reveal();
    this.moved(this.at, this.shown.common >= this.at);
    return reply;
  }

  guard(action) {
    try { action(); } catch (error) { this.tell(`error in the explorer: ${error.message}`); throw error; }
  }

  tell(words, kind = "error") {
    this.error.hidden = !words;
    this.error.className = `twx-error twx-${kind}`;
    this.error.setAttribute("role", kind === "error" ? "alert" : "status");
    this.error.replaceChildren();
    if (words) add(this.error, [el("pre", {}, words), this.button("Dismiss", () => { this.tell(""); }, { class: "twx-quiet" })]);
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("input, textarea, select")) return;
    const list = event.target.closest(".twx-steps") !== null;
    const by = { ArrowLeft: -1, ArrowRight: 1, ...(list ? { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity } : {}) }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.go(Math.max(0, Math.min(this.last, this.at + by)));
    if (list) this.path.querySelector("[aria-current]").focus({ preventScroll: true });
  }

  // Parts are made anew; the focus stays where it was.
  focused() {
    const active = this.root.getRootNode().activeElement;
    return active && this.root.contains(active) ? active.dataset.key || null : null;
  }

  refocus(key) {
    if (key === null) return;
    const found = [...this.root.querySelectorAll("[data-key]")].find(one => one.dataset.key === key);
    if (found && !found.disabled) found.focus({ preventScroll: true });
    else (this.path.querySelector("[aria-current]") || this.root).focus({ preventScroll: true });
  }

  button(words, action, attributes = {}) {
    return el("button", { type: "button", "data-key": attributes["data-key"] || (typeof words === "string" ? words : undefined), ...attributes, onclick: action }, words);
  }

  colour(process) {
    const number = this.lanes.indexOf(process);
    return number < 0 ? "twx-time" : `twx-c${number % COLOURS}`;
  }

  // ----------------------------------------------------------------------------------------------------------- toolbar

  drawBar() {
    const { shown, at, last } = this, step = at ? shown.steps[at - 1] : null;
    const own = shown.common >= last && shown.original === last;
    const nav = el("div", { class: "twx-nav" },
      this.button("|◀", () => this.go(0), { "aria-label": "To the initial state", title: "To the initial state", disabled: !at, "data-key": "first" }),
      this.button("◀", () => this.go(at - 1), { "aria-label": "One step back", title: "One step back (←)", disabled: !at, "data-key": "back" }),
      el("span", { class: "twx-count" }, `${at} / ${last}`),
      this.button("▶", () => this.go(at + 1), { "aria-label": "One step forward", title: "One step forward (→)", disabled: at === last, "data-key": "forward" }),
      this.button("▶|", () => this.go(last), { "aria-label": "To the last step", title: "To the last step", disabled: at === last, "data-key": "last" }));
    const words = el("div", { class: "twx-what", "aria-live": "polite" },
      step ? [this.chip(step.actor), " ", el("b", {}, step.step), step.outcome && step.outcome !== "ok" ? el("span", { class: step.fails ? "twx-bad" : "twx-dim" }, ` ${step.outcome}`) : null]
        : el("b", {}, "the initial state"));
    const path = el("div", { class: "twx-nav" },
      own ? null : this.button("Return to the original", () => this.change({ do: "original" }), { "data-key": "original" }),
      shown.undo ? this.button("Undo", () => this.change({ do: "undo" }), { title: "Back to the path before this one" }) : null,
      (shown.others || []).length ? el("label", { class: "twx-beside" }, "beside ", this.select()) : null);
    this.bar.replaceChildren(nav, words, path);
  }

  select() {
    const chosen = this.beside ? this.beside.name : "";
    const list = el("select", { "data-key": "beside", onchange: event => this.change({ do: "beside", name: event.target.value }) },
      ["", ...this.shown.others].map(name => el("option", { value: name, selected: name === chosen }, name || "nothing")));
    list.value = chosen;
    return list;
  }

  chip(process) {
    return el("span", { class: `twx-chip ${this.colour(process)}` }, process || "time");
  }

  // -------------------------------------------------------------------------------------------------------------- path

  drawPath() {
    const { shown } = this;
    const moving = new Set(shown.steps.map(step => step.actor));
    for (const step of shown.steps) for (const [number] of step.patch.processes) moving.add(shown.initial.processes[number].name);
    const lanes = this.lanes.filter(name => moving.has(name));
    const legend = el("div", { class: "twx-legend", "aria-hidden": "true" }, lanes.map(name => this.chip(name)));
    const rows = this.states.map((_, at) => this.drawRow(at, lanes));
    const list = el("div", { class: "twx-steps", role: "group", "aria-label": "The steps; arrow keys move" }, rows);
    if (shown.loop !== null) {
      const from = shown.loop;
      list.append(from < this.last
        ? this.button(`↻ and again from step ${from + 1}, for ever`, () => this.go(from), { class: "twx-again", "data-key": "again" })
        : el("div", { class: "twx-again" }, "∞ and then nothing moves any more"));
    }
    const cut = shown.common < Math.max(shown.original, this.last);
    const about = shown.property
      ? el("p", { class: "twx-about" }, el("span", { class: "twx-bad" }, "✗ "), el("code", {}, shown.property), `: ${shown.broken}`)
      : cut ? el("p", { class: "twx-about" }, shown.original ? `Leaves the original after step ${shown.common}.` : "") : null;
    return [legend, about, list];
  }

  drawRow(at, lanes) {
    const { shown } = this, step = at ? shown.steps[at - 1] : null;
    const broken = this.brokenAt(at), looping = shown.loop !== null && at > shown.loop;
    const told = broken.length && (!shown.property || broken.includes(shown.property));
    const kinds = ["twx-row", looping ? "twx-looping" : "", told ? "twx-broken" : "", shown.common < at ? "twx-mine" : ""];
    const note = step ? this.summary(step) : [];
    const differs = this.beside && at > 0 && (at < this.beside.states.length ? !this.beside.steps[at - 1][1] : at === this.beside.states.length ? "parts" : false);
    const mark = differs === "parts" ? "✂" : differs ? "≠" : broken.length ? "✗" : "";
    const why = differs === "parts" ? "the two part here" : differs ? "goes otherwise there" : broken.length ? `broken: ${broken.join(", ")}` : undefined;
    return el("button", {
      type: "button", class: kinds.filter(Boolean).join(" "), "data-at": at, "data-key": `row ${at}`, tabindex: at === this.at ? 0 : -1,
      "aria-current": at === this.at ? "step" : undefined, onclick: () => this.go(at),
    },
    el("span", { class: "twx-number" }, String(at)),
    this.drawLanes(at, lanes),
    el("span", { class: "twx-words" },
      el("span", { class: "twx-line" }, el("b", {}, step ? step.step : "start"), step && step.fails ? el("span", { class: "twx-bad" }, ` ${step.outcome.replaceAll("_", " ")}`) : null),
      el("span", { class: "twx-line twx-dim" }, step ? [el("span", { class: `twx-who ${this.colour(step.actor)}` }, step.actor || "time"), note.length ? " · " : "", note] : "the initial state")),
    mark ? el("span", { class: differs ? "twx-mark twx-warn" : "twx-mark twx-bad", title: why, "aria-label": why, role: "img" }, mark) : null);
  }

  summary(step) {
    const { changes, returned, events, note } = step;
    if (changes.length) {
      return changes.slice(0, 2).map(([kind, label, columns], index) => [index ? ", " : "",
        kind === "insert" ? el("ins", {}, `+ ${label}`) : kind === "delete" ? el("del", {}, label) : [`${label} `, columns.slice(0, 1).map(([name, , value]) => [`${name} `, el("ins", {}, value)])]]);
    }
    if (events.length) return [events[0]];
    if (note) return [note];
    return returned.length ? [returned.map(([name, value]) => `${name} = ${value}`).join(", ")] : [];
  }

  // A step in one line.
  words(at) {
    const step = at ? this.shown.steps[at - 1] : null;
    if (!step) return "the initial state";
    const said = step.note || (step.outcome === "ok" ? "" : step.outcome);
    return `${step.actor || "time"}: ${step.step}${said ? ` (${said})` : ""}${step.returned.map(([name, value]) => `, ${name} = ${value}`).join("")}`;
  }

  brokenNow(at) {
    const { truths, properties } = this.shown;
    return truths[at] ? properties.filter((_, index) => truths[at][index].status === "broken").map(({ name }) => name) : [];
  }

  // The names of what is broken in a state and was not in the one before.
  brokenAt(at) {
    const { truths, properties, property, loop } = this.shown;
    const ends = property && loop === null && at === this.last;
    const now = truths && truths[at], before = truths && at ? truths[at - 1] : null;
    const names = now ? properties.map(({ name }, n) => now[n].status === "broken" && !(before && before[n].status === "broken") ? name : "").filter(Boolean) : [];
    return names.length ? names : ends ? [property] : [];
  }

  // A stretch of every lane: a line while the process lives, a bar while its transaction is open, hatched while it waits.
  drawLanes(at, lanes) {
    const width = Math.max(lanes.length * LANE, LANE), middle = ROW / 2;
    const svg = shape("svg", { class: "twx-lanes", width, height: ROW, viewBox: `0 0 ${width} ${ROW}`, "aria-hidden": "true", focusable: "false" });
    const find = (state, name) => state.processes.find(process => process.name === name);
    const step = at ? this.shown.steps[at - 1] : null;
    lanes.forEach((name, index) => {
      const x = index * LANE + LANE / 2, colour = this.colour(name);
      const after = find(this.states[at], name), before = at ? find(this.states[at - 1], name) : null;
      const half = (process, top, bottom) => {
        if (!process) return;
        if (!ENDED.has(process.status)) svg.append(shape("line", { x1: x, x2: x, y1: top, y2: bottom, class: process.status === "idle" ? "twx-idle" : "twx-life" }));
        const look = process.waiting ? "twx-waits" : process.transaction === "open" ? "twx-open" : process.transaction === "failed" ? "twx-aborted" : "";
        if (look) svg.append(shape("rect", { x: x - 5, y: top, width: 10, height: bottom - top, class: `${look} ${colour}` }));
      };
      half(before, 0, middle);
      half(after, middle, at === this.last && this.shown.loop === null ? ROW - 6 : ROW);
      if (step && step.actor === name) {
        svg.append(shape("circle", { cx: x, cy: middle, r: 6.5, class: `twx-dot ${step.fails ? "twx-fault" : step.waits ? "twx-hold" : colour}` }));
        if (step.fails) svg.append(shape("path", { d: `M${x - 2.5},${middle - 2.5} l5,5 m0,-5 l-5,5`, class: "twx-cross" }));
      }
    });
    if (step && !step.actor) svg.append(shape("line", { x1: 0, x2: width, y1: middle, y2: middle, class: "twx-tick" }));
    return svg;
  }

  // ------------------------------------------------------------------------------------------------------------- state

  drawState() {
    this.drawBar();
    const { at } = this, now = this.states[at], before = this.states[Math.max(at - 1, 0)];
    const left = [this.drawStep(), ...(this.beside ? [this.drawBeside(now, before)]
      : [this.section("Database", this.drawTables(before, now)), this.section("Processes", this.drawProcesses(before, now))])];
    const right = [this.drawWhy(), this.drawMoves(), this.drawProperties(), this.drawWatches()].filter(Boolean);
    const open = this.state.querySelectorAll(".twx-outline");
    const scrolled = new Map([...open].map(one => [one.dataset.name, one.scrollTop]));
    this.state.replaceChildren(el("div", {}, left.filter(Boolean)), ...(right.length ? [el("div", {}, right)] : []));
    for (const list of this.state.querySelectorAll(".twx-outline")) {
      const here = list.querySelector("[aria-current]");
      list.scrollTop = scrolled.get(list.dataset.name) || 0;
      if (here) {
        const top = here.offsetTop;
        if (top < list.scrollTop || top + 22 > list.scrollTop + list.clientHeight) list.scrollTop = Math.max(0, top - 44);
      }
    }
  }

  section(title, ...children) {
    const id = `twx-${this.number}-${title.replaceAll(/[^A-Za-z]/g, "")}`;
    return el("section", { class: "twx-section", "aria-labelledby": id }, el("h4", { id }, title), children);
  }

  drawStep() {
    const { at, shown } = this;
    const step = at ? shown.steps[at - 1] : null;
    const bound = this.states[at].bound;
    if (!step) return null;
    const place = step.procedure ? `${step.procedure}.${step.step}` : step.step;
    return el("section", { class: `twx-section twx-card ${step.fails ? "twx-failed" : ""}`, "aria-label": "The step" },
      el("div", { class: "twx-head" }, el("span", { class: "twx-at" }, String(at)), this.chip(step.actor), el("code", {}, place),
        step.note || (step.outcome && step.outcome !== "ok") ? el("span", { class: step.fails ? "twx-bad" : "twx-dim" }, step.note || step.outcome.replaceAll("_", " ")) : null),
      step.sql ? el("pre", { tabindex: "0" }, step.sql) : null,
      step.returned.map(([name, value]) => el("div", { class: "twx-returned" }, "→ ", el("code", {}, name), ` = ${value}`)),
      step.events.map(words => el("div", { class: "twx-event" }, words)),
      bound ? el("p", { class: "twx-bad" }, `out of bounds: ${bound}. Nothing that follows is part of the model.`) : null);
  }

  // Why it breaks: in full where the step that is shown has to do with it.
  drawWhy() {
    const { shown, at } = this;
    if (!(shown.why || []).length) return null;
    return this.section("Why", shown.why.map(([words, steps]) => el("div", { class: `twx-why ${steps.includes(at) || !steps.length ? "" : "twx-brief"}` },
      el("p", { title: steps.includes(at) ? undefined : words }, words),
      el("div", { class: "twx-nav" }, steps.map(step => this.button(String(step), () => this.go(step), { "aria-label": `To step ${step}`, "aria-current": step === at ? "step" : undefined, "data-key": `why ${words} ${step}` }))))));
  }

  drawTables(before, now, other = null) {
    return el("div", { class: "twx-tables" }, now.tables.map((table, index) => {
      const old = before.tables.find(one => one.name === table.name) || { rows: [], versions: [] };
      return this.drawTable(table, old, other && (other.tables.find(one => one.name === table.name) || { rows: [], versions: [] }), index);
    }));
  }

  drawTable(table, old, other) {
    const rows = merged(old.rows, table.rows, row => row[0], row => row[1]);
    const versions = merged(old.versions, table.versions, row => JSON.stringify([row[0], row[1], row[2]]), row => row[3]).filter(one => one.after);
    const columns = [...new Set([...rows, ...versions].flatMap(one => (one.after || one.before).map(([name]) => name)))];
    const bare = row => row[0].startsWith(`${table.name} `) ? row[0].slice(table.name.length + 1) : row[0];
    // A name that is the first column's value is not written twice.
    const named = rows.some(one => { const [first] = one.after || one.before; return !first || first[1] !== bare(one.row); }) || versions.length > 0;
    const known = other && new Map(other.rows.map(row => [row[0], new Map(row[1])]));
    const lines = rows.map(one => {
      const was = new Map(one.before || []), is = new Map(one.after || []), there = known && known.get(one.row[0]);
      const kind = !one.before ? "twx-new" : !one.after ? "twx-gone" : "";
      return el("tr", { class: [kind, known && one.after && !there ? "twx-differs" : ""].join(" ").trim() },
        named ? el("th", { scope: "row" }, kind === "twx-gone" ? el("del", {}, bare(one.row)) : kind ? el("ins", {}, bare(one.row)) : bare(one.row)) : null,
        columns.map(name => {
          const value = !one.before ? [is.has(name) ? el("ins", {}, is.get(name)) : ""] : !one.after ? [el("del", {}, was.get(name) ?? "")] : change(was.get(name), is.get(name));
          return el("td", { class: there && there.get(name) !== is.get(name) ? "twx-differs" : undefined }, value);
        }));
    });
    for (const one of versions) {
      const [writer, kind, label] = one.row, committed = table.rows.find(row => row[0] === label);
      // What was there before: an earlier version of the same transaction, else the committed row.
      const was = new Map(one.before && JSON.stringify(one.before) !== JSON.stringify(one.after) ? one.before : committed ? committed[1] : []), is = new Map(one.after);
      lines.push(el("tr", { class: "twx-uncommitted" },
        el("th", { scope: "row" }, this.chip(writer), ` ${kind} `, bare([label]), el("small", {}, " uncommitted")),
        columns.map(name => el("td", {}, was.size ? change(was.get(name), is.get(name)) : is.has(name) ? el("ins", {}, is.get(name)) : ""))));
    }
    const grid = lines.length
      ? el("div", { class: "twx-wide", tabindex: "0", role: "group", "aria-label": `Table ${table.name}` }, el("table", {},
        el("thead", {}, el("tr", {}, named ? el("th", { scope: "col" }, "") : null, columns.map(name => el("th", { scope: "col" }, name)))), el("tbody", {}, lines)))
      : el("span", { class: "twx-dim" }, "no row");
    const missing = other ? other.rows.filter(row => !table.rows.some(mine => mine[0] === row[0])) : [];
    return el("div", { class: "twx-table" }, el("div", { class: "twx-name" }, table.name), grid,
      missing.length ? el("div", { class: "twx-differs" }, `not here: ${missing.map(row => row[0]).join(", ")}`) : null);
  }

  drawProcesses(before, now, side = "") {
    return el("div", { class: "twx-processes" }, now.processes.map(process => this.drawProcess(before.processes.find(one => one.name === process.name), process, side)));
  }

  drawProcess(old, process, side) {
    const key = `${side}${process.name}`, was = old || process;
    const changed = old !== process && was.status !== undefined && JSON.stringify(was) !== JSON.stringify(process);
    const running = process.status === "running" || process.waiting;
    const open = this.opened.has(key) ? this.opened.get(key) : running || changed;
    const pills = [];
    if (process.waiting) pills.push(el("span", { class: "twx-pill twx-warn" }, process.waitsFor ? `waits for ${process.waitsFor}` : "waits"));
    else pills.push(el("span", { class: `twx-pill twx-${process.status}` }, process.status || "?"));
    if (process.transaction === "open") pills.push(el("span", { class: "twx-pill twx-tx" }, "transaction open"));
    if (process.transaction === "failed") pills.push(el("span", { class: "twx-pill twx-crashed" }, "transaction aborted"));
    const earlier = new Map(was.variables), nothing = new Set(["NULL", "{}", undefined]);
    const seen = process.variables.filter(([name, value]) => !nothing.has(value) || !nothing.has(earlier.get(name)));
    const body = el("details", { open },
      el("summary", { "data-key": `process ${key}`, onclick: event => this.opened.set(key, !event.currentTarget.parentElement.open) }, this.chip(process.name), " ", pills, running && process.step ? el("code", { class: "twx-place" }, process.step) : null),
      this.drawOutline(process, key, side === "b " ? this.beside : this.shown),
      seen.length ? el("div", { class: "twx-variables" }, seen.map(([name, value]) => el("span", {}, `${name} = `, change(earlier.get(name), value)))) : null,
      process.locks.length ? el("div", { class: "twx-dim" }, `locks ${process.locks.join(", ")}`) : null);
    return el("div", { class: `twx-process ${changed ? "twx-changed" : ""}` }, body);
  }

  // Where the process is in its procedure.
  drawOutline(process, key, shown) {
    const procedures = new Map(shown.outlines || []), roles = new Map(shown.roles || []);
    const name = process.procedure || (roles.get(process.role) || [])[0];
    const steps = procedures.get(name);
    if (!steps) return process.step ? el("div", { class: "twx-dim" }, `${process.procedure}.${process.step}`) : null;
    const at = ENDED.has(process.status) ? "" : process.step.replace(/\[.*$/, ""), here = process.status === "idle" && !at ? steps[0] && steps[0][0] : at;
    const round = /\[.*$/.exec(process.step);
    return el("ol", { class: "twx-outline", "data-name": key, tabindex: "0", "aria-label": `The steps of ${name}` }, steps.map(([step, depth, kind, words]) => {
      const mine = step === here;
      const state = !mine ? "" : process.waiting ? "twx-waiting" : process.status === "idle" ? "twx-next" : "twx-here";
      return el("li", { class: ["twx-depth" + Math.min(depth, 5), `twx-k-${kind}`, state].filter(Boolean).join(" "), "aria-current": mine ? "step" : undefined, title: words },
        el("span", { class: "twx-step" }, step, mine && round ? el("span", { class: "twx-dim" }, round[0]) : null), el("span", { class: "twx-sql" }, words));
    }));
  }

  drawBeside(now, before) {
    const { at, beside, shown } = this, followed = beside.states.length - 1, there = Math.min(at, followed);
    const state = beside.states[there], was = beside.states[Math.max(there - 1, 0)];
    const step = at && at <= followed ? beside.steps[at - 1] : null;
    const apart = at > followed;
    const truths = beside.truths[there].map(([name, truth]) => truth.status === "broken" ? name : "").filter(Boolean);
    const label = shown.heading, broken = name => el("span", { class: "twx-pill twx-crashed" }, `✗ ${name}`);
    return el("section", { class: "twx-section", "aria-label": "Side by side" },
      apart || (at === followed && beside.parts && beside.parts.length) ? el("div", { class: "twx-parting" },
        el("b", {}, apart && at > followed + 1 ? `They parted after step ${followed}.` : apart ? "Here the two part." : "They part at the next step."),
        el("ul", {}, (beside.parts || []).map(words => el("li", {}, words)))) : null,
      el("div", { class: "twx-sides" },
        el("div", { class: "twx-side" }, el("h4", {}, label), el("p", { class: "twx-dim" }, this.words(at), this.brokenNow(at).map(broken)),
          this.drawTables(before, now), this.drawProcesses(before, now, "a ")),
        el("div", { class: `twx-side ${apart ? "twx-stale" : ""}` }, el("h4", {}, beside.name),
          el("p", { class: "twx-dim" }, apart ? `as it was after step ${followed}` : step ? (step[0].length ? step[0].join("; ") : "has no such step") : "the initial state",
            step && !step[1] ? el("span", { class: "twx-pill twx-warn" }, "otherwise") : null,
            truths.map(broken)),
          this.drawTables(was, state, apart ? null : now), this.drawProcesses(was, state, "b "))));
  }

  drawProperties() {
    const { shown, at } = this;
    if (!shown.truths || !shown.properties) return null;
    const here = shown.truths[at];
    return this.section("Properties", shown.properties.map((property, index) => {
      const truth = here && here[index];
      const [mark, kind, words] = !truth ? ["·", "dim", "not carried by this page"] : {
        holds: ["✓", "good", ""], broken: ["✗", "bad", truth.words], owed: ["…", "warn", `not answered yet, ${truth.words}`],
        possible: ["✓", "good", truth.words], "not now": ["·", "dim", "not now"], unknown: ["?", "warn", truth.words],
      }[truth.status];
      const answer = this.answers.get(property.name);
      return el("div", { class: `twx-property ${kind === "bad" ? "twx-failed" : ""}` },
        el("div", { class: "twx-head" }, el("span", { class: `twx-${kind}`, "aria-label": truth ? truth.status : "unknown", role: "img" }, mark), el("code", { title: property.title }, property.name),
          words ? el("span", { class: `twx-${kind}` }, words) : null),
        this.drawTruths(index),
        truth && truth.rows.length ? this.drawRows(property.columns, truth.rows, kind) : null,
        this.backend.live ? el("div", { class: "twx-ask" },
          this.button("Can it break from here?", () => this.question(property.name), { "data-key": `ask ${property.name}`, "aria-label": `Can ${property.name} break from here?`, title: `An exhaustive search from this state, within ${shown.limits}` }),
          answer ? el("span", { class: `twx-${{ yes: "bad", no: "good", unknown: "warn" }[answer.answer]}`, role: "status" }, answer.at === at ? answer.words : `from step ${answer.at}: ${answer.words}`) : null) : null);
    }));
  }

  async question(name) {
    const { at } = this;
    const reply = await this.ask({ do: "ask", property: name });
    if (reply === null) return;
    if (reply.answer === "yes") this.answers.clear();
    this.answers.set(name, { ...reply, at });
    this.refresh(at);
  }

  // What is true of one property all along the path.
  drawTruths(index) {
    const { shown } = this;
    if (!shown.truths.some(line => line && line[index].status !== "holds")) return null;
    return el("div", { class: "twx-truths", "aria-hidden": "true" }, shown.truths.map((line, at) => {
      const status = line ? line[index].status.replace(" ", "") : "unknown";
      return el("span", { class: `twx-t-${status} ${at === this.at ? "twx-now" : ""}`, title: `${at}: ${line ? line[index].status : "not carried"}`, onclick: () => this.go(at) });
    }));
  }

  drawRows(columns, rows, kind = "") {
    return el("div", { class: "twx-wide", tabindex: "0", role: "group", "aria-label": "Rows" }, el("table", { class: `twx-rows twx-${kind}` },
      el("thead", {}, el("tr", {}, columns.map(name => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.map(row => el("tr", {}, row.map(value => el("td", {}, value)))))));
  }

  drawMoves() {
    const { shown, at } = this;
    if (!shown.moves) return null;
    const moves = shown.moves[at];
    const title = "What can happen here";
    if (!moves) return this.section(title, el("p", { class: "twx-dim" }, "Not carried any further by this page: ", el("code", {}, "tw.explore(…)"), " in a notebook goes on from here."));
    if (this.states[at].bound) return null;
    if (!moves.length) return this.section(title, el("p", { class: "twx-dim" }, "Nothing any more."));
    const reach = this.backend.live || moves.some(move => move.patch && !move.taken);
    return this.section(title, el("ul", { class: "twx-moves" }, moves.map((move, index) => {
      const next = at < this.last && shown.steps[at].label === move.label;
      const can = this.backend.live || next || (move.patch && shown.common >= at);
      const said = move.fails || move.waits || (move.outcome !== "ok" && move.outcome) ? move.outcome.replaceAll("_", " ") : "";
      const more = this.summary({ ...move, note: said ? "" : move.note });
      return el("li", {}, this.button([
        this.chip(move.actor), " ", el("b", {}, move.step), said ? el("span", { class: move.fails ? "twx-bad" : "twx-dim" }, ` ${said}`) : null,
        more.length ? el("span", { class: "twx-effect" }, more) : null, next ? el("span", { class: "twx-onpath" }, "the path") : null,
      ], () => (next ? this.go(at + 1) : this.change({ do: "take", label: move.label })),
      { class: `${next ? "twx-taken" : ""} ${move.fails ? "twx-risky" : ""}`.trim() || undefined, disabled: !can, "data-key": `move ${index}`, title: move.label }));
    })), this.backend.live ? null : el("p", { class: "twx-dim" }, reach ? "Other moves, not carried further than their first step." : "Where other moves lead is not carried by this page: there are too many."));
  }

  // ----------------------------------------------------------------------------------------------------- watches, paths

  drawWatches() {
    const { shown, at } = this;
    if (!this.backend.live) return null;
    const draft = this.draft || "";
    const input = el("textarea", { rows: "1", placeholder: "SELECT count(*) FROM …", "aria-label": "A query to watch", "data-key": "watch", spellcheck: "false",
      oninput: event => { this.draft = event.target.value; },
      onkeydown: event => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); event.stopPropagation(); this.watch(event.target.value); } } });
    input.value = draft;
    return this.section("Watch", (shown.watches || []).map((watch, number) => {
      const now = watch.rows[at], was = watch.rows[Math.max(at - 1, 0)];
      const changed = JSON.stringify(now) !== JSON.stringify(was);
      return el("div", { class: "twx-watch" },
        el("div", { class: "twx-head" }, el("code", {}, watch.sql), this.button("×", () => this.change({ do: "unwatch", number }), { "aria-label": `Do not watch ${watch.sql} any more`, class: "twx-quiet", "data-key": `unwatch ${number}` })),
        now.length === 1 && watch.columns.length === 1
          ? el("div", { class: "twx-value" }, `${watch.columns[0]} = `, was.length === 1 ? change(was[0][0], now[0][0]) : el("ins", {}, now[0][0]))
          : now.length ? el("div", { class: changed ? "twx-changed" : undefined }, this.drawRows(watch.columns, now)) : el("div", { class: "twx-dim" }, changed ? el("del", {}, "rows") : "no row", changed ? " no row any more" : ""));
    }), el("div", { class: "twx-form" }, input, this.button("Watch", () => this.watch(input.value), { "data-key": "add watch" })));
  }

  async watch(sql) {
    if (!sql.trim()) return;
    const reply = await this.change({ do: "watch", sql });
    if (reply !== null) { this.draft = ""; this.drawState(); }
  }

  drawTools() {
    const { backend } = this;
    const area = el("textarea", { class: "twx-text", rows: "8", spellcheck: "false", "aria-label": "The path as text", "data-key": "path text" });
    area.value = this.pasted ?? pathText(this.shown);
    area.addEventListener("input", () => { this.pasted = area.value; });
    const file = el("input", { type: "text", "aria-label": "Trace file", value: "path.trace.json", "data-key": "file" });
    const kept = backend.kept.map(({ name, text }, index) => el("li", {}, this.button(name, () => this.restore(text), { "data-key": `kept ${index}` }),
      this.button("×", () => { backend.kept = backend.kept.filter((_, other) => other !== index); this.refresh(); }, { class: "twx-quiet", "aria-label": `Forget ${name}`, "data-key": `forget ${index}` })));
    const details = el("details", { open: this.opened.get("tools") || false },
      el("summary", { "data-key": "tools", onclick: () => this.opened.set("tools", !details.open) }, "Keep, copy, restore this path"),
      el("p", { class: "twx-dim" }, "A path is text: send it to a colleague, or put it into a bug report. Paste one here and restore it."),
      area,
      el("div", { class: "twx-nav" },
        this.button("Keep this path", () => this.keep()),
        this.button("Copy", () => this.copy(area)),
        this.button("Restore", () => this.restore(area.value)),
        backend.live ? el("span", { class: "twx-form" }, file, this.button("Save as a trace file", () => this.save(file.value))) : null),
      kept.length ? el("ul", { class: "twx-kept", "aria-label": "Kept paths" }, kept) : null);
    return [details];
  }

  keep() {
    const { shown } = this, from = shown.common < this.last ? `, leaves the original after ${shown.common}` : "";
    const name = `${this.backend.kept.length + 1}: ${plural(this.last, "step")}${shown.property ? `, breaks ${shown.property}` : from}`;
    this.backend.kept = [...this.backend.kept, { name, text: pathText(shown) }];
    this.refresh();
  }

  async copy(area) {
    area.select();
    try {
      await navigator.clipboard.writeText(area.value);
      this.tell("Copied.", "note");
    } catch { this.tell("The browser does not allow it: the text is selected, copy it with the keyboard.", "note"); }
  }

  async restore(text) {
    this.pasted = undefined;
    const reply = await this.change({ do: "restore", text });
    if (reply === null) { this.pasted = text; this.refresh(); }
  }

  async save(file) {
    const reply = await this.ask({ do: "save", file });
    if (reply !== null) this.tell(`Saved as ${reply.saved}`, "note");
  }

  remove() {
    this.unwatch();
    this.root.remove();
  }
}

// Rows of two states side by side, in the order of the newer one; those that are gone come last.
function merged(before, after, label, values) {
  const old = new Map(before.map(row => [label(row), row])), now = new Set(after.map(label));
  const rows = after.map(row => ({ row, before: old.has(label(row)) ? values(old.get(label(row))) : null, after: values(row) }));
  for (const row of before) if (!now.has(label(row))) rows.push({ row, before: values(row), after: null });
  return rows;
}

// Light or dark: as the notebook is, else as the reader's system is.
function themed(root) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const look = () => {
    const { body, documentElement: page } = document;
    const lab = body.dataset.jpThemeLight, code = body.dataset.vscodeThemeKind || "";
    const dark = lab !== undefined ? lab === "false" : code ? /dark|contrast$/.test(code) : page.getAttribute("theme") === "dark" || system.matches;
    root.dataset.theme = dark ? "dark" : "light";
  };
  look();
  const watch = new MutationObserver(look);
  for (const element of [document.body, document.documentElement]) watch.observe(element, { attributes: true });
  system.addEventListener("change", look);
  return () => { watch.disconnect(); system.removeEventListener("change", look); };
}

// -------------------------------------------------------------------------------------------------------------- the widget

// How long a kernel may take for an answer, in milliseconds: longer than any question is allowed to.
const PATIENCE = 600_000;

class KernelBackend {
  constructor(model) {
    this.live = true;
    this.model = model;
    this.number = 0;
    this.waiting = new Map();
    this.received = message => {
      const waiter = this.waiting.get(message.id);
      if (!waiter) return;
      this.waiting.delete(message.id);
      if (message.error) waiter.reject(new Error(message.error));
      else waiter.resolve(message);
    };
    model.on("msg:custom", this.received);
  }

  get document() { return this.model.get("document"); }
  get kept() { return this.model.get("kept"); }
  set kept(paths) { this.model.set("kept", paths); this.model.save_changes(); }

  ask(message) {
    // Several views of one widget hear every reply.
    const id = `${Math.random().toString(36).slice(2)}-${++this.number}`;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error("no answer: the kernel is busy, or it is gone; run the cell again"));
      }, PATIENCE);
      const done = then => value => { clearTimeout(late); then(value); };
      this.waiting.set(id, { resolve: done(resolve), reject: done(reject) });
      this.model.send({ ...message, id });
    });
  }

  close() { this.model.off("msg:custom", this.received); }
}

export default {
  render({ model, el: root }) {
    const backend = new KernelBackend(model), explorer = new Explorer(root, backend);
    const changed = () => { if (!explorer.busy) explorer.refresh(); };
    model.on("change:document", changed);
    return () => { model.off("change:document", changed); backend.close(); explorer.remove(); };
  },
};
