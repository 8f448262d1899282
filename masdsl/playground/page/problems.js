// The problems of the text: squiggles with fixes, and a list with what to do next.

import { EditorView, keymap, lintGutter, setDiagnostics } from "./codemirror.js";
import { byId, count, el } from "./dom.js";
import { say, tell } from "./notice.js";
import { changesOf, spanOf } from "./positions.js";

const MOST = 200;
const SEVERITIES = ["error", "error", "warning", "info", "info"];
const FIX_ALL = "source.fixAll.mas";

/** What the editor needs for the squiggles. */
export const problemExtensions = [lintGutter()];

/** Keeps the problems of an editor those that the language server last told. `explain(code)` shows a code's page. */
export class Problems {
  constructor(language, view, explain) {
    this.language = language;
    this.view = view;
    this.explain = explain;
    this.found = [];
    this.fixAll = null;
    byId("fix-all").onclick = () => this.apply(this.fixAll);
    language.addEventListener("diagnostics", (event) => this.take(event.detail));
  }

  /** Forget all: another text is open. */
  clear() {
    this.found = [];
    this.show("");
  }

  async take(diagnostics) {
    const { doc } = this.view.state;
    this.found = diagnostics.map((one) => ({ ...one, ...spanOf(doc, one.range), fixes: [] }));
    this.fixAll = null;
    this.show("none");
    if (!diagnostics.length) return;
    const range = { start: { line: 0, character: 0 }, end: { line: doc.lines, character: 0 } };
    const context = { diagnostics: [], only: ["quickfix", "source.fixAll"] };
    const actions = await this.language.askNow("codeAction", { range, context });
    if (!actions?.length) return;
    const key = (one) => `${one.code} ${one.range.start.line}:${one.range.start.character}`;
    const by = new Map(this.found.map((one) => [key(one), one]));
    for (const action of actions) {
      const fix = { title: action.title, edit: action.edit, version: this.language.version, isSure: action.isPreferred };
      if (action.kind === FIX_ALL) this.fixAll = fix;
      else for (const about of action.diagnostics ?? []) by.get(key(about))?.fixes.push(fix);
    }
    this.show("none");
  }

  apply(fix) {
    if (!fix || !this.language.isNewest(fix.version)) {
      tell("info", "The text has changed since", "The fix was made for the text as it stood.", "Look at the problems again in a moment.");
      return;
    }
    const edits = fix.edit.changes?.[this.language.uri] ?? [];
    this.view.dispatch({ changes: changesOf(this.view.state.doc, edits), userEvent: "fix" });
    this.view.focus();
  }

  /** Apply the first fix of a problem at the cursor; false where there is none. */
  fixHere() {
    const at = this.view.state.doc.lineAt(this.view.state.selection.main.head);
    const here = this.found.filter((one) => one.fixes.length && one.from <= at.to && one.to >= at.from);
    const best = here.flatMap((one) => one.fixes).sort((a, b) => Number(b.isSure ?? 0) - Number(a.isSure ?? 0))[0];
    if (!best) return false;
    this.apply(best);
    return true;
  }

  show(empty) {
    const { state } = this.view;
    const marks = this.found.map((one) => ({
      from: Math.min(one.from, state.doc.length),
      to: Math.min(one.to, state.doc.length),
      severity: SEVERITIES[one.severity ?? 1],
      source: one.code,
      message: one.message,
      actions: one.fixes.slice(0, 4).map((fix) => ({ name: fix.title, apply: () => this.apply(fix) })),
    }));
    this.view.dispatch(setDiagnostics(state, marks));
    const errors = this.found.filter((one) => SEVERITIES[one.severity ?? 1] === "error").length;
    const warnings = this.found.length - errors;
    const parts = [errors && count(errors, "error"), warnings && count(warnings, "warning")].filter(Boolean);
    const summary = parts.join(", ") || empty;
    if (byId("problem-count").textContent !== summary) {
      byId("problem-count").textContent = summary;
      say(summary === "none" ? "no problems" : summary);
    }
    byId("problem-count").className = errors ? "badge error" : warnings ? "badge warning" : "badge";
    byId("fix-all").hidden = !this.fixAll;
    const rows = this.found.slice(0, MOST).map((one) => this.row(one));
    if (this.found.length > MOST) rows.push(el("li", { class: "muted" }, `and ${this.found.length - MOST} more`));
    byId("problem-list").replaceChildren(...rows);
  }

  row(one) {
    const severity = SEVERITIES[one.severity ?? 1];
    const [title, ...help] = one.message.split("\n");
    const go = () => {
      const at = Math.min(one.from, this.view.state.doc.length);
      const selection = { anchor: at, head: Math.min(one.to, this.view.state.doc.length) };
      this.view.dispatch({ selection, effects: EditorView.scrollIntoView(at, { y: "center" }) });
      this.view.focus();
    };
    return el(
      "li",
      { class: `problem ${severity}` },
      el("button", { type: "button", class: "place", onclick: go, title: "Go to the place" }, `${severity}, line ${one.range.start.line + 1}`),
      one.code ? el("button", { type: "button", class: "code", onclick: () => this.explain(one.code), title: "What this code means" }, String(one.code)) : null,
      el("span", { class: "title" }, title),
      help.length ? el("span", { class: "help" }, help.join(" ")) : null,
      one.fixes.map((fix) => this.button(fix)),
    );
  }

  button(fix) {
    const isFix = !fix.title.startsWith("allow ");
    const text = isFix ? `Fix: ${fix.title}` : `Allow it here`;
    return el("button", { type: "button", class: isFix ? "fix" : "quiet", title: fix.title, onclick: () => this.apply(fix) }, text);
  }
}

/** The key of a quick fix. */
export function problemKeys(problems) {
  return keymap.of([{ key: "Mod-.", run: () => problems().fixHere() }]);
}
