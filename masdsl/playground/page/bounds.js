// The worst case of each flow, and how what is used stands to it.

import { byId, el } from "./dom.js";

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** The resources of a bound: their key, their name, and how an amount is written. */
export const RESOURCES = [
  { key: "calls", name: "Calls", write: (amount) => NUMBER.format(amount) },
  { key: "tokens_in", name: "Tokens in", write: (amount) => NUMBER.format(amount) },
  { key: "tokens_out", name: "Tokens out", write: (amount) => NUMBER.format(amount) },
  { key: "usd", name: "USD", write: usd },
  { key: "seconds", name: "Time", write: seconds },
];

/** Return an amount of USD: to the cent, or to two digits where it is less. */
export function usd(amount) {
  if (amount === 0) return "$0";
  return `$${amount >= 0.1 ? amount.toFixed(2) : amount.toPrecision(2)}`;
}

/** Return a time for people. */
export function seconds(amount) {
  if (amount < 10) return `${amount.toFixed(amount < 1 ? 2 : 1)} s`;
  if (amount < 120) return `${Math.round(amount)} s`;
  if (amount < 7200) return `${Math.round(amount / 60)} min`;
  return `${(amount / 3600).toFixed(1)} h`;
}

/** Return an amount of a resource; of what is not known, a dash. */
export function written(resource, bound) {
  const amount = bound?.[resource.key];
  return amount === undefined || amount === null ? "–" : resource.write(amount);
}

/** Show the flows of a program, each with its worst case. */
export function showFlows(look) {
  const parts = [];
  if (look.text === null) {
    parts.push(el("p", { class: "muted" }, "Looking at the program …"));
  } else if (!look.isGood) {
    const stale = look.flows.length ? "The program has errors: these are the flows as they were without them." : "The program has errors, so nothing is known of its flows yet.";
    parts.push(el("p", { class: "hint-line" }, stale));
  } else if (!look.flows.length) {
    parts.push(el("p", { class: "hint-line" }, "No flow can be called from outside. A flow named main is one: flow main(task) -> text { … }"));
  }
  if (look.flows.length) parts.push(table(look.flows));
  byId("flows").replaceChildren(...parts);
  byId("flows").classList.toggle("stale", !look.isGood);
}

function table(flows) {
  const head = el("tr", {}, el("th", { scope: "col" }, "Flow"), RESOURCES.map(({ name }) => el("th", { scope: "col", class: "number" }, name)));
  const rows = flows.map((flow) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("code", {}, signature(flow)), flow.doc ? el("div", { class: "muted" }, flow.doc) : null),
      RESOURCES.map((resource) => el("td", { class: "number" }, written(resource, flow.bound))),
    ),
  );
  return el("table", {}, el("caption", {}, "At most, whatever models and tools say"), el("thead", {}, head), el("tbody", {}, rows));
}

function signature(flow) {
  return `${flow.name}(${flow.parameters.map((one) => `${one.name}: ${one.type}`).join(", ")})`;
}

/** Return bars that show what is used of a bound; `update(used)` moves them. */
export function budget(bound) {
  const bars = RESOURCES.map((resource) => {
    const most = bound?.[resource.key];
    const id = `budget-${resource.key}`;
    const bar = el("progress", { id, max: most || 1, value: 0, "aria-label": `${resource.name} used of the worst case` });
    const text = el("span", { class: "number" });
    return { resource, most, bar, text, row: el("div", { class: "bar" }, el("label", { for: id }, resource.name), bar, text) };
  });
  const shown = el("div", { class: "budget" }, bars.map((one) => one.row));
  return {
    shown,
    update(used) {
      for (const { resource, most, bar, text } of bars) {
        const amount = used[resource.key] ?? 0;
        bar.value = most ? Math.min(amount, most) : 0;
        const limit = written(resource, bound);
        text.textContent = `${resource.write(amount)} ${most && amount > most ? `in all, at most ${limit} in one go` : `of at most ${limit}`}`;
      }
    },
  };
}
