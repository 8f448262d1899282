// The runs: one begins, goes on, stops, is resumed with another program; earlier ones are chosen from a list.

import { Gone, get, post, Refused } from "./api.js";
import { byId, count, el, programName } from "./dom.js";
import { quiet, say, tellFault } from "./notice.js";
import { RunView } from "./run_view.js";
import { Story } from "./story.js";
import { follow } from "./stream.js";

const ENDED = ["ended", "failed", "stopped", "interrupted"];
const AGAIN = 2_000;

/** The run that is shown. Events: `chosen` when it is another one, `moved` when its status is another one, `unfit` for inputs. */
export class Runs extends EventTarget {
  constructor(documents) {
    super();
    this.documents = documents;
    this.current = null;
    this.leave = () => {};
    this.view = new RunView();
    byId("stop").onclick = () => this.doing("Stopping the run", () => this.stop());
    byId("resume").onclick = () => this.doing("Resuming the run", () => this.resume());
    byId("take-text").onclick = () => this.doing("Taking the run's program", () => this.takeText());
    byId("runs").onchange = () => byId("runs").value && this.doing("Showing the run", () => this.choose(byId("runs").value));
    documents.addEventListener("opened", () => this.buttons());
  }

  /** Do what a button says, and tell of what goes wrong. */
  async doing(what, work) {
    this.view.refused([]);
    quiet();
    try {
      await work();
    } catch (fault) {
      if (fault instanceof Refused && fault.diagnostics.length) this.view.refused(fault.diagnostics);
      if (fault instanceof Refused && fault.faults.length) this.dispatchEvent(new CustomEvent("unfit", { detail: fault.faults }));
      tellFault(fault, what);
    }
  }

  /** Begin a run of a flow of the open program. */
  start(flow, inputs, models) {
    return this.doing("Running the program", async () => {
      const { name, uri, text } = this.documents.current;
      byId("run").disabled = true;
      try {
        const more = Object.keys(models).length ? { models } : {};
        const { run } = await post("api/runs", { uri, text, flow: flow.name, inputs, ...more });
        this.show({ run, program: name, flow: flow.name, status: "running", bound: flow.bound });
        byId("inputs-box").open = false; // the run is what there is to see now
      } finally {
        byId("run").disabled = false;
      }
      await this.list();
    });
  }

  async choose(run) {
    const found = await get(`api/runs/${encodeURIComponent(run)}`);
    this.show({ ...found, run });
  }

  async stop() {
    await post(`api/runs/${encodeURIComponent(this.current.run)}/stop`);
    say("the run stops after the calls under way");
    byId("stop").disabled = true;
  }

  async resume() {
    const { run } = this.current;
    const { text } = this.documents.current;
    const answer = await post(`api/runs/${encodeURIComponent(run)}/resume`, { text });
    const before = this.current;
    this.show({ ...before, run: answer.run ?? run, status: "running", value: undefined, problem: undefined });
    this.view.patched(answer.patch ?? "");
    await this.list();
  }

  async takeText() {
    const { text } = await get(`api/runs/${encodeURIComponent(this.current.run)}`);
    this.dispatchEvent(new CustomEvent("text", { detail: text }));
  }

  /** Show a run from its first event on. */
  show(found) {
    this.leave();
    this.current = found;
    const story = new Story();
    this.view.begin(found, story);
    this.buttons();
    this.dispatchEvent(new Event("chosen"));
    const told = {
      run: (data) => {
        this.view.bound(data.bound ?? this.current.bound);
        if (data.status) this.become(data.status, data);
      },
      step: (event) => {
        story.take(event);
        this.view.soon();
      },
      missed: (number) => {
        story.missed += number;
        this.view.soon();
      },
      last: (kind, data) => this.end(found.run, kind, data),
      found: () => this.view.connection(""),
      lost: (isForGood) => {
        this.view.connection("The connection to the server broke off. The run goes on without this page; its events are fetched when the server answers.");
        if (isForGood) setTimeout(() => this.current?.run === found.run && !this.isOver && this.again(), AGAIN);
      },
    };
    this.leave = follow(found.run, told);
  }

  get isOver() {
    return ENDED.includes(this.current?.status);
  }

  async again() {
    try {
      await this.choose(this.current.run);
    } catch (fault) {
      if (fault instanceof Gone || this.isOver) setTimeout(() => !this.isOver && this.again(), AGAIN);
      else tellFault(fault, "Following the run");
    }
  }

  become(status, data = {}) {
    const isNew = this.current.status !== status;
    this.current = { ...this.current, status, usage: data.usage ?? this.current.usage };
    this.view.status(this.current);
    this.buttons();
    if (isNew) this.dispatchEvent(new Event("moved"));
  }

  async end(run, kind, data) {
    const isStopped = kind === "stopped" || data.status === "stopped" || String(data.type ?? "").endsWith(":run-stopped");
    let known = { ...data, status: kind === "ended" ? "ended" : isStopped ? "stopped" : "failed" };
    if (kind !== "ended") known.problem = data.problem ?? data;
    try {
      known = { ...known, ...(await get(`api/runs/${encodeURIComponent(run)}`)) };
    } catch (fault) {
      if (!(fault instanceof Gone || fault instanceof Refused)) throw fault;
    }
    if (this.current?.run !== run) return;
    this.current = { ...this.current, ...known };
    this.become(known.status, known);
    this.view.outcome(this.current);
    say(`the run has ${known.status === "ended" ? "ended with a value" : known.status}`);
    await this.list();
  }

  buttons() {
    const { current } = this;
    const isOver = this.isOver;
    const isOurs = this.isOfOpen();
    byId("stop").hidden = isOver;
    byId("stop").disabled = false;
    byId("resume").hidden = !isOver || current?.status === "ended";
    byId("resume").disabled = !isOurs;
    byId("resume-why").textContent = byId("resume").hidden || isOurs ? "" : `This is a run of ${programName(current.program)}: open that program to go on with it.`;
  }

  /** Whether the run is of the program that is open. */
  isOfOpen() {
    const program = this.current?.program ?? "";
    const { name, uri } = this.documents.current;
    return program === name || uri.endsWith(`/${encodeURIComponent(program)}`);
  }

  /** Fetch the list of runs that can be shown. */
  async list() {
    let found;
    try {
      found = await get("api/runs");
    } catch (fault) {
      if (!(fault instanceof Gone)) tellFault(fault, "Listing the runs");
      return;
    }
    const runs = Array.isArray(found) ? found : (found.runs ?? []);
    const options = runs.slice(0, 100).map((one) => {
      const time = new Date(one.created * 1000).toLocaleTimeString("en", { hour12: false });
      return el("option", { value: one.run }, `${programName(one.program)}/${one.flow}, ${one.status}, ${time}`);
    });
    byId("runs").replaceChildren(el("option", { value: "" }, options.length ? `Choose of ${count(runs.length, "run")}` : "No run yet"), ...options);
    byId("runs").value = this.current?.run ?? "";
  }
}
