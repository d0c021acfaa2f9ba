// Stands after the explorer in the page's module.  Adds to a page that is complete without it: an explorer for each
// counterexample, links to steps (#case/property/step), and the filter.

const carried = JSON.parse(document.getElementById("states").textContent);
const stories = new Map();
// What the filter looks through: what is there without scripts.
const texts = new Map([...document.querySelectorAll(".verdicts tbody tr, .story, main > section > ul > li")].map(one => [one, one.textContent.toLowerCase()]));
let current = null;

for (const [id, path] of Object.entries(carried)) {
  const section = document.getElementById(id), place = section.querySelector(".explorer");
  const explorer = new Explorer(place, new PageBackend(path), { moved: (at, own) => {
    current = explorer;
    // A step of a path of one's own has no place in the page.
    history.replaceState(null, "", own && at ? `#${id}/${at}` : `#${id}`);
    mark(section, own ? at : 0);
  } });
  stories.set(id, { section, explorer });
  current = current || explorer;
  for (const event of ["pointerenter", "focusin"]) section.addEventListener(event, () => { current = explorer; });
  for (const group of section.querySelectorAll("g[data-step]")) {
    group.removeAttribute("id"); // a link to a step leads to the explorer
    group.addEventListener("click", async () => {
      const { backend } = explorer, at = Number(group.dataset.step);
      if (backend.document !== backend.first) await explorer.change({ do: "restore", text: pathText(backend.first) });
      explorer.go(at);
    });
  }
}

// The step's band in the picture.
function mark(section, at) {
  for (const old of section.querySelectorAll(".here")) old.remove();
  const group = at && section.querySelector(`g[data-step="${at}"]`);
  if (!group || !group.getClientRects().length) return;
  const svg = group.ownerSVGElement, box = group.getBBox(), band = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ class: "here", x: 8, y: box.y - 6, width: svg.viewBox.baseVal.width - 16, height: box.height + 12, rx: 4 })) band.setAttribute(name, value);
  svg.insertBefore(band, svg.querySelector("g"));
}

function follow() {
  let id = location.hash.slice(1);
  try { id = decodeURIComponent(id); } catch { return; }
  const step = stories.has(id) ? null : /^(.*)\/([0-9]+)$/.exec(id);
  const found = stories.get(step ? step[1] : id);
  if (!found) return;
  current = found.explorer;
  found.section.hidden = false;
  found.section.querySelector("details").open = true;
  if (step) {
    found.explorer.go(Number(step[2]), { tell: false });
    mark(found.section, Number(step[2]));
  }
  (step ? found.explorer.root : found.section).scrollIntoView();
}
window.addEventListener("hashchange", follow);
follow();

document.addEventListener("keydown", event => {
  if (event.defaultPrevented || !current || event.target.closest("input, textarea, select, .wide, summary") || current.root.closest("[hidden]")) return;
  current.key(event);
});

for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
document.getElementById("filter").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const [element, text] of texts) {
    element.hidden = !words.every(word => text.includes(word));
    shown += !element.hidden;
  }
  document.getElementById("found").textContent = words.length ? (shown ? "" : "nothing has these words") : "";
});
