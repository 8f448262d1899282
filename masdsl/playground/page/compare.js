// Two programs beside each other: what is added, dropped and changed, the patch, and what it does to the worst case.

import { post } from "./api.js";
import { RESOURCES, written } from "./bounds.js";
import { byId, count, el } from "./dom.js";
import { Picture } from "./graph.js";
import { quiet, tellFault } from "./notice.js";

const MOST_LINES = 2_000;
const SIGNS = { "+": "added", "-": "dropped", "~": "changed" };
const OPENED = "opened";
const NOW = "now";
const PASTED = "pasted";

/** The panel that compares. */
export class Compare {
  constructor(documents) {
    this.documents = documents;
    this.picture = new Picture("Picture of what the change does");
    const programs = documents.programs.map(({ name }) => [`program ${name}`, `Program ${name}`]);
    const sides = [[OPENED, "This program, as opened"], [NOW, "This program, as it is now"], [PASTED, "Pasted text"], ...programs];
    for (const [side, first] of [["before", OPENED], ["after", NOW]]) {
      const select = byId(side);
      select.replaceChildren(...sides.map(([value, name]) => el("option", { value }, name)));
      select.value = first;
      select.onchange = () => this.choose(side);
      this.choose(side);
    }
    byId("compare-form").onsubmit = (event) => {
      event.preventDefault();
      this.compare();
    };
  }

  choose(side) {
    byId(`${side}-box`).hidden = byId(side).value !== PASTED;
  }

  async textOf(side) {
    const value = byId(side).value;
    const { current } = this.documents;
    if (value === OPENED) return current.opened;
    if (value === NOW) return current.text;
    if (value === PASTED) return byId(`${side}-text`).value;
    return (await this.documents.find(value.slice("program ".length))).text;
  }

  async compare() {
    const place = byId("comparison");
    byId("compare").disabled = true;
    quiet();
    place.setAttribute("aria-busy", "true");
    try {
      const [before, after] = [await this.textOf("before"), await this.textOf("after")];
      const found = await post("api/diff", { uri: this.documents.current.uri, before, after });
      place.replaceChildren(...this.parts(found, before === after));
    } catch (fault) {
      place.replaceChildren(...(fault.diagnostics ?? []).slice(0, 50).map((one) => el("p", { class: "fault" }, `${one.code ?? ""} ${one.title ?? one.message ?? ""} ${one.help ?? ""}`)));
      tellFault(fault, "Comparing");
    } finally {
      byId("compare").disabled = false;
      place.removeAttribute("aria-busy");
    }
  }

  parts({ patch, lines, bound, svg }, isSame) {
    if (isSame) return [el("p", { class: "muted" }, "Both are the same text.")];
    const made = [el("h3", {}, "Lines"), linesOf(lines ?? [])];
    if (bound) made.push(el("h3", {}, "Worst case"), boundsOf(bound));
    made.push(el("h3", {}, "Patch"), patch ? el("pre", { class: "patch", tabIndex: 0, role: "region", "aria-label": "Patch" }, patch) : el("p", { class: "muted" }, "None: they mean the same."));
    if (svg) {
      this.picture.put(svg);
      made.push(el("h3", {}, "Picture"), this.picture.shown);
    }
    return made;
  }
}

function linesOf(lines) {
  const rows = lines.slice(0, MOST_LINES).map(({ sign, text }) => {
    const name = SIGNS[sign] ?? "same";
    return el("div", { class: `line ${name}` }, el("span", { class: "sign", role: "img", "aria-label": name }, SIGNS[sign] ? sign : " "), el("span", {}, text));
  });
  if (lines.length > MOST_LINES) rows.push(el("p", { class: "muted" }, `and ${count(lines.length - MOST_LINES, "line")} more`));
  return el("div", { class: "lines", tabIndex: 0, role: "region", "aria-label": "Changed lines" }, rows);
}

function boundsOf({ before, after }) {
  const cells = (name, one) => [el("th", { scope: "row" }, name), RESOURCES.map((resource) => el("td", { class: "number" }, written(resource, one)))];
  const change = RESOURCES.map((resource) => {
    const by = (after?.[resource.key] ?? NaN) - (before?.[resource.key] ?? NaN);
    const text = Number.isNaN(by) ? "–" : by === 0 ? "same" : `${by > 0 ? "+" : "−"}${resource.write(Math.abs(by))}`;
    return el("td", { class: `number ${by > 0 ? "more" : by < 0 ? "less" : ""}` }, text);
  });
  const head = el("tr", {}, el("td"), RESOURCES.map(({ name }) => el("th", { scope: "col", class: "number" }, name)));
  const body = [el("tr", {}, cells("Before", before)), el("tr", {}, cells("After", after)), el("tr", {}, el("th", { scope: "row" }, "Change"), change)];
  return el("table", {}, el("thead", {}, head), el("tbody", {}, body));
}
