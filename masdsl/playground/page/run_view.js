// How a run looks: status, what it uses of its bound, its steps, and its value or why there is none.

import { budget } from "./bounds.js";
import { Details } from "./details.js";
import { byId, count, el, programName, shownValue } from "./dom.js";
import { Timeline } from "./timeline.js";

const TICK = 250;

export class RunView {
  constructor() {
    this.details = new Details(byId("step-details"));
    this.timeline = new Timeline((step) => this.details.show(this.run, step));
    byId("timeline").append(this.timeline.shown);
    this.story = null;
    this.waits = false;
    this.timer = 0;
  }

  /** Begin with a run: all that was shown of another one goes. */
  begin(found, story) {
    clearInterval(this.timer);
    this.run = found.run;
    this.story = story;
    this.usage = null;
    byId("run-view").hidden = false;
    byId("run-links").hidden = false;
    byId("run-name").textContent = `${programName(found.program)}/${found.flow}`;
    byId("report").href = new URL(`api/runs/${encodeURIComponent(found.run)}/report`, document.baseURI).href;
    byId("run-outcome").replaceChildren();
    byId("run-patch").replaceChildren();
    this.refused([]);
    this.details.clear();
    this.bound(found.bound);
    byId("run-elsewhere").hidden = found.began_here !== false;
    this.status(found);
    this.timeline.begin(story);
    const began = performance.now();
    this.timer = setInterval(() => {
      if (this.isRunning) story.now = Math.max(story.now, (performance.now() - began) / 1000);
      this.soon();
    }, TICK);
    this.soon();
  }

  bound(bound) {
    this.bars = budget(bound);
    byId("budget").replaceChildren(this.bars.shown);
  }

  status({ status, usage }) {
    this.isRunning = status === "running";
    this.usage = usage ?? this.usage;
    const badge = byId("run-status");
    badge.textContent = status;
    badge.className = `badge ${status}`;
    if (!this.isRunning) clearInterval(this.timer);
    this.soon();
  }

  connection(text) {
    byId("run-connection").textContent = text;
  }

  /** Show what there is to show, once before the next picture of the screen. */
  soon() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.draw();
    });
  }

  draw() {
    const { story } = this;
    this.timeline.draw();
    const used = this.isRunning || !this.usage ? { ...story.used, seconds: story.now } : { ...this.usage, seconds: this.usage.seconds || story.now };
    this.bars.update(used);
    const parts = Object.entries(story.counts()).map(([state, number]) => `${number.toLocaleString("en")} ${state}`);
    const missed = story.missed ? ` (${count(story.missed, "event")} came faster than this page took them; the report has all)` : "";
    byId("step-count").textContent = story.steps.length ? `${count(story.steps.length, "step")}: ${parts.join(", ")}${missed}` : this.isRunning ? "No step has begun yet." : "What its steps did is told in the report.";
  }

  /** Show the patch that made the run's program another one. */
  patched(patch) {
    byId("run-patch").replaceChildren(
      patch ? el("details", { open: true }, el("summary", {}, "It goes on with this patch"), el("pre", { class: "patch" }, patch)) : el("p", { class: "muted" }, "It goes on with the same program."),
    );
  }

  /** Show why an edited program cannot go on. */
  refused(diagnostics) {
    byId("run-refused").replaceChildren(
      ...diagnostics.slice(0, 50).map((one) => {
        const place = one.line ? `line ${one.line}: ` : "";
        return el("li", {}, el("strong", {}, `${one.code ?? ""} `), `${place}${one.title ?? one.message ?? ""} `, el("span", { class: "next" }, one.help ?? one.next ?? ""));
      }),
    );
  }

  /** Show how the run ended. */
  outcome({ status, value, problem }) {
    const place = byId("run-outcome");
    const reused = this.story.reused ? [el("p", { class: "muted" }, `${count(this.story.reused, "step")} reused: what they gave was kept, nothing was paid for them.`)] : [];
    if (status === "ended") {
      place.replaceChildren(el("h3", {}, "Value"), shownValue(value, "Value of the run"), ...reused);
      return;
    }
    const said = problem ?? {};
    const go = said.step
      ? el("button", { type: "button", class: "quiet", onclick: () => this.chooseStep(said.step) }, `Show ${said.step}`)
      : null;
    place.replaceChildren(
      el(
        "div",
        { class: `notice ${status === "stopped" ? "info" : "error"}` },
        el("p", {}, el("strong", {}, said.title ?? `The run has ${status}`), said.detail ? el("span", {}, said.detail) : null, said.next ? el("span", { class: "next" }, said.next) : null),
        go,
      ),
      el("p", { class: "muted" }, "Edit the program and resume: what is paid for already is reused where it still stands."),
      ...reused,
    );
  }

  chooseStep(address) {
    const index = this.story.steps.findIndex((step) => step.address === address || step.address.startsWith(`${address}[`));
    if (index >= 0) this.timeline.choose(index);
  }
}
