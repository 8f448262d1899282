// One step of a run: what it was asked, what was replied, and its value.

import { Gone, get, Refused } from "./api.js";
import { seconds, usd } from "./bounds.js";
import { el, longText, shownValue } from "./dom.js";

const MOST_CALLS = 50;

/** Show a step in `place`; prompts and replies are asked for when a step is chosen, as only the journal has them. */
export class Details {
  constructor(place) {
    this.place = place;
    this.asked = 0;
  }

  clear() {
    this.asked += 1;
    this.place.replaceChildren();
  }

  async show(run, step) {
    const number = (this.asked += 1);
    const isFlow = step.what === "flow";
    const first = isFlow ? "It is a flow: its steps say what was asked." : "Looking up what was asked …";
    const calls = el("div", { class: "calls" }, el("p", { class: "muted" }, first));
    this.place.replaceChildren(head(step), ...valueOf(step), calls);
    if (isFlow) return;
    let parts;
    try {
      const kept = await get(`api/runs/${encodeURIComponent(run)}/step?at=${encodeURIComponent(step.address)}`);
      parts = kept.calls.slice(0, MOST_CALLS).map(callOf);
      if (kept.inputs && Object.keys(kept.inputs).length) parts.unshift(el("h4", {}, "Inputs"), shownValue(kept.inputs, "Inputs"));
      if (kept.calls.length > MOST_CALLS) parts.push(el("p", { class: "muted" }, `and ${kept.calls.length - MOST_CALLS} more calls, which the report has`));
      if (!parts.length) parts.push(el("p", { class: "muted" }, "It made no call of its own."));
    } catch (fault) {
      if (!(fault instanceof Refused || fault instanceof Gone)) throw fault;
      parts = [el("p", { class: "muted" }, fault.message)];
    }
    if (number === this.asked) calls.replaceChildren(...parts);
  }
}

function head(step) {
  const figures = [
    step.model,
    step.end === null ? "" : seconds(step.end - step.begin),
    step.tokens_in + step.tokens_out ? `${step.tokens_in.toLocaleString("en")} tokens in, ${step.tokens_out.toLocaleString("en")} out` : "",
    step.usd ? usd(step.usd) : "",
  ];
  return el(
    "div",
    {},
    el("h3", {}, el("span", { class: `badge ${step.state}` }, step.state), " ", el("code", {}, step.address)),
    el("p", { class: "muted" }, [`${step.what} ${step.name}`, ...figures].filter(Boolean).join(" · ")),
    step.reason ? el("p", { class: "fault" }, step.reason) : null,
    step.notes.length ? el("ul", { class: "notes" }, step.notes.map((note) => el("li", {}, note))) : null,
  );
}

function valueOf(step) {
  return step.hasValue ? [el("h4", {}, "Value"), shownValue(step.value, `Value of ${step.address}`)] : [];
}

function callOf(call, number) {
  const messages = call.messages ?? (call.prompt ? [{ role: "prompt", text: call.prompt }] : []);
  const title = `Call ${number + 1}${call.model ? ` of ${call.model}` : ""}`;
  const figures = [call.seconds ? seconds(call.seconds) : "", call.tokens_in ? `${call.tokens_in} + ${call.tokens_out} tokens` : ""].filter(Boolean).join(", ");
  return el(
    "div",
    { class: "call" },
    el("h4", {}, title, " ", el("span", { class: "muted" }, figures)),
    messages.map(({ role, text }) => el("div", { class: "message" }, el("span", { class: "role" }, role), longText(text, `${role} of call ${number + 1}`))),
    call.reply === undefined || call.reply === null ? null : el("div", { class: "message" }, el("span", { class: "role" }, "reply"), longText(call.reply, `Reply of call ${number + 1}`)),
    call.fault ? el("p", { class: "fault" }, call.fault) : null,
  );
}
