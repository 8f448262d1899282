// What is offered while one writes: completion, what stands under the pointer, and the parameters of a call.

import { autocompletion, EditorView, hoverTooltip, keymap, pickedCompletion, showTooltip, StateEffect, StateField } from "./codemirror.js";
import { el, soon } from "./dom.js";
import { markdown } from "./markdown.js";
import { changesOf, spanOf } from "./positions.js";

/** The kinds of completion items of the protocol that masdsl uses, as the icons of CodeMirror. */
const KINDS = { 2: "method", 3: "function", 5: "property", 6: "variable", 7: "class", 9: "namespace", 12: "constant", 14: "keyword", 20: "enum", 22: "type" };
const TRIGGER = /[\w.{|":]/;

function optionOf(doc, item) {
  const text = item.textEdit?.newText ?? item.insertText ?? item.label;
  const more = item.additionalTextEdits ?? [];
  return {
    label: item.filterText ?? item.label,
    displayLabel: item.label,
    sortText: item.sortText,
    type: KINDS[item.kind],
    detail: item.detail,
    info: item.documentation ? () => markdown(item.documentation) : undefined,
    apply(view, option, from, to) {
      const extra = view.state.doc.lines === doc.lines ? changesOf(doc, more).filter((one) => one.to <= from) : [];
      const changes = view.state.changes([...extra, { from, to, insert: text }]);
      const selection = { anchor: changes.mapPos(from, -1) + text.length };
      view.dispatch({ changes, selection, userEvent: "input.complete", annotations: pickedCompletion.of(option) });
    },
  };
}

function completion(language) {
  async function source(context) {
    const before = context.state.sliceDoc(Math.max(0, context.pos - 1), context.pos);
    if (!context.explicit && !TRIGGER.test(before)) return null;
    const { doc } = context.state;
    const isWord = /\w/.test(before) || context.explicit;
    const trigger = isWord ? { triggerKind: 1 } : { triggerKind: 2, triggerCharacter: before };
    const answer = await language.askAt("completion", doc, context.pos, { context: trigger });
    const items = Array.isArray(answer) ? answer : (answer?.items ?? []);
    if (!items.length || context.aborted) return null;
    const range = items[0].textEdit?.range;
    const from = range ? spanOf(doc, range).from : (context.matchBefore(/\w*/)?.from ?? context.pos);
    return { from, options: items.map((item) => optionOf(doc, item)), validFor: /^\w*$/ };
  }
  return autocompletion({ override: [source] });
}

function hover(language) {
  return hoverTooltip(async (view, pos) => {
    const { doc } = view.state;
    const answer = await language.askAt("hover", doc, pos);
    if (!answer || view.state.doc !== doc) return null;
    const { from, to } = answer.range ? spanOf(doc, answer.range) : { from: pos, to: pos };
    return { pos: from, end: to, above: true, create: () => ({ dom: markdown(answer.contents, "doc tip") }) };
  });
}

// ---------------------------------------------------------------- parameters

const setSignature = StateEffect.define();

const signatureField = StateField.define({
  create: () => null,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setSignature)) return effect.value;
    return value && transaction.docChanged ? { ...value, pos: transaction.changes.mapPos(value.pos) } : value;
  },
  provide: (field) => showTooltip.from(field),
});

function signatureDom(answer) {
  const shown = answer.signatures[answer.activeSignature ?? 0];
  const active = shown.activeParameter ?? answer.activeParameter;
  const part = shown.parameters?.[active]?.label;
  const line = el("div", { class: "signature" });
  if (Array.isArray(part)) {
    const [from, to] = part;
    line.append(shown.label.slice(0, from), el("strong", {}, shown.label.slice(from, to)), shown.label.slice(to));
  } else line.append(shown.label);
  return el("div", { class: "doc tip" }, line, shown.documentation ? markdown(shown.documentation) : null);
}

function signature(language) {
  const renew = soon(async (view) => {
    const { doc, selection } = view.state;
    const pos = selection.main.head;
    const answer = await language.askAt("signatureHelp", doc, pos);
    if (view.state.doc !== doc || view.state.selection.main.head !== pos) return;
    const has = answer?.signatures?.length;
    const value = has ? { pos, above: true, create: () => ({ dom: signatureDom(answer) }) } : null;
    if (value || view.state.field(signatureField)) view.dispatch({ effects: setSignature.of(value) });
  }, 100);
  const hide = (view) => {
    if (!view.state.field(signatureField)) return false;
    view.dispatch({ effects: setSignature.of(null) });
    return true;
  };
  return [
    signatureField,
    EditorView.updateListener.of((update) => {
      const isOpen = update.state.field(signatureField) !== null;
      let typed = false;
      if (update.docChanged) update.changes.iterChanges((_a, _b, _c, _d, text) => (typed ||= /[(,]/.test(text.toString())));
      if (typed || (isOpen && (update.docChanged || update.selectionSet))) renew(update.view);
    }),
    keymap.of([
      { key: "Mod-Shift-Space", run: (view) => (renew(view), true) },
      { key: "Escape", run: hide },
    ]),
  ];
}

/** What the editor needs for all of it. */
export function assistance(language) {
  return [completion(language), hover(language), signature(language)];
}
