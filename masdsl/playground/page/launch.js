// What is chosen before a run: the flow, its inputs, and other models.

import { byId, el } from "./dom.js";
import { Form } from "./form.js";

/** The form that begins runs; `go(flow, inputs, models)` is told. */
export class Launch {
  constructor(look, tiers, go) {
    this.look = look;
    this.tiers = tiers;
    this.drafts = new Map();
    this.shape = "";
    this.form = null;
    this.flow = null;
    byId("flow").onchange = () => this.choose(byId("flow").value);
    byId("launch").onsubmit = (event) => {
      event.preventDefault();
      this.submit(go);
    };
    byId("models").replaceChildren(...Object.entries(tiers).map(([tier, model]) => this.model(tier, model)));
    byId("models-box").hidden = !Object.keys(tiers).length;
    look.addEventListener("looked", () => this.renew());
  }

  /** The server does not take the inputs. */
  unfit(faults) {
    byId("inputs-box").open = true;
    this.form?.blame(faults);
  }

  model(tier, model) {
    const id = `model-${tier}`;
    return el("div", { class: "field" }, el("label", { for: id }, tier), el("input", { id, type: "text", value: model, spellcheck: false, autocomplete: "off" }));
  }

  /** Show the flows that there are now; what was written is kept. */
  renew() {
    const { flows, isGood } = this.look;
    byId("run").disabled = !isGood || !flows.length;
    const why = this.look.text === null ? "" : isGood ? "The program has no flow to run." : "Mend the program's errors to run it.";
    byId("run-why").textContent = isGood && flows.length ? "" : why;
    const shape = JSON.stringify([this.look.name, flows.map(({ name, parameters }) => [name, parameters])]);
    if (shape === this.shape) return;
    this.shape = shape;
    byId("flow").replaceChildren(...flows.map(({ name }) => el("option", { value: name }, name)));
    const names = flows.map(({ name }) => name);
    const before = this.flow?.name;
    this.choose(names.includes(before) ? before : names.includes("main") ? "main" : names[0]);
  }

  choose(name) {
    if (this.form) this.drafts.set(this.key, this.form.draft());
    this.flow = this.look.flows.find((one) => one.name === name) ?? null;
    this.form = null;
    byId("inputs").replaceChildren();
    byId("flow-doc").textContent = this.flow?.doc ?? "";
    if (!this.flow) return;
    byId("flow").value = name;
    byId("inputs-box").open = true;
    this.key = `${this.look.name} ${name}`;
    this.form = new Form(this.flow, this.drafts.get(this.key));
    byId("inputs").replaceChildren(this.form.shown);
  }

  submit(go) {
    if (byId("run").disabled || !this.form) return;
    if (!this.look.isNewest) {
      this.look.addEventListener("looked", () => this.submit(go), { once: true }); // the flow may be another one by now
      return;
    }
    const inputs = this.form.read();
    byId("inputs-box").open ||= inputs === null;
    if (inputs === null) return;
    const models = {};
    for (const [tier, model] of Object.entries(this.tiers)) {
      const wanted = byId(`model-${tier}`).value.trim();
      if (wanted && wanted !== model) models[tier] = wanted;
    }
    go(this.flow, inputs, models);
  }
}
