// The steps of a run as rows with bars over time: what runs at once lies side by side. However many steps there are,
// only the rows in sight are in the page.

import { seconds } from "./bounds.js";
import { el } from "./dom.js";

const ROW = 28;
const BEYOND = 6;
const WORDS = { running: "running", done: "done", default: "default", failed: "failed", reused: "reused" };

/** A list of steps, one of which is chosen. `chosen(step)` is told when it is another. */
export class Timeline {
  constructor(chosen) {
    this.chosen = chosen;
    this.story = null;
    this.index = -1;
    this.follows = true;
    this.rows = new Map();
    this.body = el("div", { class: "rows" });
    this.list = el("div", { class: "timeline", role: "listbox", tabIndex: 0, "aria-label": "Steps of the run" }, this.body);
    this.list.onscroll = () => {
      this.follows = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - ROW;
      this.draw();
    };
    this.list.onkeydown = (event) => this.key(event);
    this.shown = el("div", {}, this.list);
    new ResizeObserver(() => this.draw()).observe(this.list);
  }

  /** Begin another story. */
  begin(story) {
    this.story = story;
    this.index = -1;
    this.follows = true;
    this.draw();
  }

  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !this.story?.steps.length) return;
    event.preventDefault();
    this.choose(Math.min(this.story.steps.length - 1, Math.max(0, this.index + moves[event.key])));
  }

  choose(index) {
    this.index = index;
    this.follows = false;
    const top = index * ROW;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    if (top + ROW > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + ROW - this.list.clientHeight;
    this.draw();
    this.chosen(this.story.steps[index]);
  }

  /** Show the story as it is now. */
  draw() {
    const steps = this.story?.steps ?? [];
    this.list.hidden = !steps.length;
    this.body.style.height = `${steps.length * ROW}px`;
    if (this.follows && this.list.scrollHeight > this.list.clientHeight) this.list.scrollTop = this.list.scrollHeight;
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - BEYOND);
    const last = Math.min(steps.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW) + BEYOND);
    const span = Math.max(this.story?.now ?? 0, 0.001);
    for (const [number, row] of this.rows) {
      if (number < first || number >= last) {
        row.remove();
        this.rows.delete(number);
      }
    }
    for (let number = first; number < last; number += 1) this.row(number, steps, span);
    if (this.index >= first && this.index < last) this.list.setAttribute("aria-activedescendant", `step-${this.index}`);
    else this.list.removeAttribute("aria-activedescendant");
  }

  row(number, steps, span) {
    const step = steps[number];
    let row = this.rows.get(number);
    if (!row) {
      row = el(
        "div",
        { role: "option", id: `step-${number}`, onclick: () => this.choose(number) },
        el("span", { class: "state" }),
        el("span", { class: "address" }),
        el("span", { class: "lane" }, el("span", { class: "bar" })),
        el("span", { class: "figures" }),
      );
      this.rows.set(number, row);
      this.body.append(row);
    }
    const [state, address, lane, figures] = row.children;
    row.className = `step ${step.state}`;
    row.style.top = `${number * ROW}px`;
    row.setAttribute("aria-setsize", steps.length);
    row.setAttribute("aria-posinset", number + 1);
    row.setAttribute("aria-selected", String(number === this.index));
    put(state, WORDS[step.state]);
    put(address, step.address);
    address.title = `${step.address}: ${step.what} ${step.name}`;
    const end = step.end ?? this.story.now;
    const bar = lane.firstChild;
    bar.hidden = step.state === "reused";
    bar.style.left = `${(100 * step.begin) / span}%`;
    bar.style.width = `${Math.max(0.5, (100 * (end - step.begin)) / span)}%`;
    put(figures, figuresOf(step, end));
  }
}

function figuresOf(step, end) {
  if (step.state === "reused") return "nothing was called";
  const tokens = step.tokens_in + step.tokens_out;
  return `${seconds(end - step.begin)}${tokens ? ` · ${tokens.toLocaleString("en")} tok` : ""}`;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
