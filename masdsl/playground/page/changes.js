// Changes of the whole text that the language server makes: layout, renaming, going to where a name is declared.

import { EditorView, keymap } from "./codemirror.js";
import { byId, count, el } from "./dom.js";
import { tell } from "./notice.js";
import { changesOf, offsetOf, spanOf } from "./positions.js";

/** Put the text into its one layout. */
export async function format(language, view) {
  const edits = await language.askNow("formatting", { options: { tabSize: 2, insertSpaces: true } });
  if (edits?.length) view.dispatch({ changes: changesOf(view.state.doc, edits), userEvent: "format" });
  else if (edits === null) tell("info", "The text has no layout yet", "A program with faults of syntax is left as it is.", "Mend the first problem, then format it.");
}

/** Go to the declaration of the name at the cursor. */
export async function define(language, view, offset = view.state.selection.main.head) {
  const found = await language.askAt("definition", view.state.doc, offset);
  if (!found) return;
  if (found.uri !== language.uri) {
    const file = decodeURIComponent(found.uri.split("/").pop());
    tell("info", `It is declared in ${file}, line ${found.range.start.line + 1}`, "That is another file than the one that is open here.");
    return;
  }
  const { from, to } = spanOf(view.state.doc, found.range);
  view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
  view.focus();
}

/** List where the name at the cursor stands, its declaration and prompts included; a choice goes there. */
export async function references(language, view) {
  const { doc, selection } = view.state;
  const found = await language.askAt("references", doc, selection.main.head, { context: { includeDeclaration: true } });
  if (view.state.doc !== doc) return;
  if (!found?.length) {
    tell("info", "Nothing to list", "No name of the program stands at the cursor.", "Put the cursor on a name and press Shift-F12.");
    return;
  }
  const dialog = byId("references");
  const here = found.filter(({ uri }) => uri === language.uri).map(({ range }) => spanOf(doc, range)).sort((a, b) => a.from - b.from);
  const elsewhere = found.filter(({ uri }) => uri !== language.uri);
  const name = here.length ? doc.sliceString(here[0].from, here[0].to) : "This name";
  const go = ({ from, to }) => {
    dialog.close();
    view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    view.focus();
  };
  const rows = here.map((span) => {
    const line = doc.lineAt(span.from);
    return el("li", {}, el("button", { type: "button", class: "quiet", onclick: () => go(span) }, `line ${line.number}`), " ", el("code", {}, line.text.trim()));
  });
  const others = elsewhere.map(({ uri, range }) => el("li", { class: "muted" }, `${decodeURIComponent(uri.split("/").pop())}, line ${range.start.line + 1}`));
  dialog.replaceChildren(
    el("h2", {}, el("code", {}, name), ` stands in ${count(found.length, "place")}`),
    el("ol", { class: "places" }, rows, others),
    el("form", { method: "dialog", class: "row" }, el("button", {}, "Close")),
  );
  dialog.showModal();
}

/** Ask for another name of what stands at the cursor, and change it everywhere. */
export async function rename(language, view) {
  const { doc, selection } = view.state;
  let named, wanted;
  try {
    named = await language.askAt("prepareRename", doc, selection.main.head);
    if (!named) return;
    wanted = await askForName(named.placeholder);
    if (!wanted || wanted === named.placeholder || view.state.doc !== doc) return;
    const answer = await language.askAt("rename", doc, offsetOf(doc, named.range.start), { newName: wanted });
    if (!answer || view.state.doc !== doc) return;
    const others = Object.keys(answer.changes ?? {}).filter((uri) => uri !== language.uri);
    if (others.length) {
      tell("error", "Other files use this name", `It also stands in ${others.length} other file(s), which this page cannot change.`, "Rename it in an editor that has the whole folder open.");
      return;
    }
    view.dispatch({ changes: changesOf(doc, answer.changes?.[language.uri] ?? []), userEvent: "rename" });
  } catch (refused) {
    tell("info", "This cannot be renamed", refused.message, "Put the cursor on a name that this program declares, or choose another one.");
  } finally {
    view.focus();
  }
}

function askForName(before) {
  const dialog = byId("rename");
  const field = el("input", { type: "text", value: before, autocomplete: "off", spellcheck: false, required: true, pattern: "[A-Za-z_][A-Za-z0-9_]*" });
  const form = el(
    "form",
    { method: "dialog" },
    el("label", {}, `New name of ${before}`, field),
    el("div", { class: "row" }, el("button", { class: "primary", value: "rename" }, "Rename"), el("button", { value: "", formNoValidate: true }, "Cancel")),
  );
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "rename" ? field.value : "");
  });
}

/** The keys of these changes. */
export function changeKeys(language) {
  return [
    keymap.of([
      { key: "Shift-Alt-f", run: (view) => (format(language, view), true) },
      { key: "Shift-F12", run: (view) => (references(language, view), true) },
      { key: "F12", run: (view) => (define(language, view), true) },
      { key: "F2", run: (view) => (rename(language, view), true) },
    ]),
    EditorView.domEventHandlers({
      mousedown(event, view) {
        if (!(event.ctrlKey || event.metaKey) || event.button !== 0) return false;
        const offset = view.posAtCoords({ x: event.clientX, y: event.clientY });
        if (offset === null) return false;
        define(language, view, offset);
        return true;
      },
    }),
  ];
}
