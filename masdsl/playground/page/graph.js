// The picture of the program, or of a run of it. It is an image: nothing in it can act.

import { Gone, post } from "./api.js";
import { byId, el, oneAtATime } from "./dom.js";

const ZOOMS = [0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4];

/** A picture that can be zoomed and scrolled. `shown` is the element. */
export class Picture {
  constructor(label) {
    this.image = el("img", { alt: label, hidden: true });
    this.zoom = 0; // as wide as there is room
    this.url = "";
    const button = (text, name, work) => el("button", { type: "button", class: "quiet", "aria-label": name, title: name, onclick: work }, text);
    const zooms = el(
      "div",
      { class: "zooms", role: "group", "aria-label": "Size of the picture" },
      button("−", "Smaller", () => this.step(-1)),
      button("+", "Larger", () => this.step(1)),
      button("1:1", "1:1, its own size", () => this.resize(1)),
      button("Fit", "Fit to the width", () => this.resize(0)),
    );
    this.frame = el("div", { class: "picture", tabIndex: 0, role: "region", "aria-label": `${label}, can be scrolled` }, this.image);
    this.shown = el("div", { class: "picture-frame" }, zooms, this.frame);
    this.image.onload = () => this.resize(this.zoom);
    this.frame.onwheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.step(event.deltaY < 0 ? 1 : -1);
    };
  }

  /** Show nothing. */
  clear() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
    this.image.hidden = true;
  }

  /** Show an SVG. */
  put(svg) {
    const before = this.url;
    this.url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    this.image.src = this.url;
    this.image.hidden = false;
    if (before) URL.revokeObjectURL(before);
  }

  step(by) {
    const now = this.zoom || this.image.clientWidth / (this.image.naturalWidth || 1);
    const next = by > 0 ? ZOOMS.find((one) => one > now * 1.05) : ZOOMS.findLast((one) => one < now / 1.05);
    if (next) this.resize(next);
  }

  resize(zoom) {
    this.zoom = zoom;
    const own = this.image.naturalWidth;
    this.image.style.width = zoom ? `${own * zoom}px` : "";
    this.image.classList.toggle("fit", !zoom);
  }
}

/** Keeps the picture of the open program up to date while it is seen. `runOf()` is the run to be shown on it, if any. */
export class Graph {
  constructor(documents, look, runOf) {
    this.documents = documents;
    this.look = look;
    this.runOf = runOf;
    this.isSeen = false;
    this.picture = new Picture("Picture of the program: its steps and what they read");
    byId("graph").append(this.picture.shown);
    byId("graph-overlay").onchange = () => this.renew();
    this.renew = oneAtATime(() => this.fetch());
    look.addEventListener("looked", () => this.renew());
  }

  /** Another program is open. */
  clear() {
    this.picture.clear();
    byId("graph-state").textContent = "";
  }

  /** The panel is, or is no more, in sight. */
  see(isSeen) {
    this.isSeen = isSeen;
    if (isSeen) this.renew();
  }

  async fetch() {
    if (!this.isSeen) return;
    const run = this.runOf();
    byId("graph-overlay-row").hidden = !run;
    const { uri, text } = this.documents.current;
    const ofRun = byId("graph-overlay").checked && run;
    if (!ofRun && !this.look.isGood) {
      const errors = this.picture.url ? "the picture is that of the program without them." : "there is no picture of it yet.";
      byId("graph-state").textContent = this.look.text === null ? "" : `The program has errors: ${errors}`;
      return;
    }
    try {
      const { svg } = await post("api/graph", ofRun ? { uri, text, run } : { uri, text });
      if (this.documents.current.uri !== uri) return; // another program is open by now; its picture is on its way
      this.picture.put(svg);
      byId("graph-state").textContent = "";
    } catch (fault) {
      if (fault instanceof Gone) return;
      byId("graph-state").textContent = `${fault.title ?? fault.message}: ${fault.detail ?? ""} ${fault.next ?? ""}`;
    }
  }
}
