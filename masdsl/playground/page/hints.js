// Types and worst cases beside the steps, and what can be folded.

import { codeFolding, Decoration, EditorView, foldGutter, foldService, StateEffect, StateField, WidgetType } from "./codemirror.js";
import { el, oneAtATime } from "./dom.js";
import { offsetOf, wholeRange } from "./positions.js";

const setHints = StateEffect.define();
const setFolds = StateEffect.define();

class Hint extends WidgetType {
  constructor(text, tooltip) {
    super();
    this.text = text;
    this.tooltip = tooltip;
  }

  eq(other) {
    return other.text === this.text && other.tooltip === this.tooltip;
  }

  toDOM() {
    return el("span", { class: "hint", title: this.tooltip }, this.text);
  }

  /** A click on a hint puts the cursor beside it. */
  ignoreEvent() {
    return false;
  }
}

const hintField = StateField.define({
  create: () => Decoration.none,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setHints)) return effect.value;
    return value.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

const foldField = StateField.define({
  create: () => [],
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setFolds)) return effect.value;
    if (!transaction.docChanged) return value;
    return value.map(([from, to]) => [transaction.changes.mapPos(from), transaction.changes.mapPos(to)]);
  },
});

/** What the editor needs for both. */
export const hintExtensions = [
  hintField,
  foldField,
  codeFolding(),
  foldGutter({ foldingChanged: (update) => update.startState.field(foldField) !== update.state.field(foldField) }),
  foldService.of((state, start, end) => {
    const found = state.field(foldField).find(([from, to]) => from >= start && from <= end && to > end);
    return found ? { from: end, to: found[1] } : null;
  }),
];

function labelOf(hint) {
  return typeof hint.label === "string" ? hint.label : hint.label.map((part) => part.value).join("");
}

/** Keep the hints and folds of an editor those of its text. */
export function annotate(language, view) {
  const renew = oneAtATime(async () => {
    const range = wholeRange(view.state.doc);
    const [hints, folds] = await Promise.all([language.askNow("inlayHint", { range }), language.askNow("foldingRange")]);
    const { doc } = view.state;
    const effects = [];
    if (hints) {
      const widgets = hints.map((hint) => {
        const text = `${hint.paddingLeft ? " " : ""}${labelOf(hint)}`;
        const tooltip = typeof hint.tooltip === "string" ? hint.tooltip : (hint.tooltip?.value ?? "");
        return Decoration.widget({ widget: new Hint(text, tooltip), side: 1 }).range(offsetOf(doc, hint.position));
      });
      effects.push(setHints.of(Decoration.set(widgets, true)));
    }
    if (folds) {
      const places = folds.filter((one) => one.endLine < doc.lines && one.endLine > one.startLine);
      effects.push(setFolds.of(places.map((one) => [doc.line(one.startLine + 1).from, doc.line(one.endLine + 1).to])));
    }
    if (effects.length) view.dispatch({ effects });
  });
  language.addEventListener("diagnostics", renew);
}
