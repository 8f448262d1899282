// What a run has told so far: its steps in the order in which they began, and what it has used.

const ENDS = { finished: "done", reused: "reused", claimed: "reused", failed: "failed" };
const NOTES = new Set(["retried", "miscounted", "repaired", "clipped", "refused", "repeated", "rerun", "replayed"]);

/** A run's story. It takes the events of `masdsl.runtime.events`, and holds no elements of the page. */
export class Story {
  constructor() {
    this.steps = [];
    this.by = new Map();
    this.used = { calls: 0, tokens_in: 0, tokens_out: 0, usd: 0, seconds: 0 };
    this.missed = 0;
    this.reused = 0;
    this.now = 0;
  }

  /** Return the step of an address, and make one where it is new. */
  step(event) {
    const address = event.indices?.length ? `${event.path}[${event.indices.join(",")}]` : event.path;
    let found = this.by.get(address);
    if (!found) {
      found = {
        address, what: event.what, name: event.name, state: "running", begin: event.at, end: null,
        calls: 0, tokens_in: 0, tokens_out: 0, usd: 0, model: "", notes: [], hasValue: false, value: undefined, reason: "",
      };
      this.by.set(address, found);
      this.steps.push(found);
    }
    return found;
  }

  /** Take an event. */
  take(event) {
    const step = this.step(event);
    this.now = Math.max(this.now, event.at);
    if (event.kind === "called") this.called(step, event);
    else if (NOTES.has(event.kind) && step.notes.length < 50) step.notes.push(`${event.kind}${event.detail ? `: ${event.detail}` : ""}`);
    const end = ENDS[event.kind];
    if (event.kind === "started") {
      step.state = "running";
      step.end = null;
    }
    if (!end) return;
    if (end === "reused" && step.state !== "reused") this.reused += 1;
    step.state = event.kind === "finished" && event.detail === "default" ? "default" : end;
    step.end = event.at;
    if (event.kind === "failed") step.reason = event.detail ?? "";
    if (event.kind === "claimed" && event.detail) step.notes.push(`from ${event.detail}`);
    if ("value" in event) {
      step.hasValue = true;
      step.value = event.value;
    }
  }

  called(step, event) {
    step.calls += 1;
    step.model = event.model || step.model;
    if (event.what !== "tool") this.used.calls += 1;
    for (const key of ["tokens_in", "tokens_out", "usd"]) {
      step[key] += event[key] ?? 0;
      this.used[key] += event[key] ?? 0;
    }
    if (event.detail && step.notes.length < 50) step.notes.push(`call ${step.calls}: ${event.detail}`);
  }

  /** How many steps are in each state. */
  counts() {
    const found = {};
    for (const { state } of this.steps) found[state] = (found[state] ?? 0) + 1;
    return found;
  }
}
