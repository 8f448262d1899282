// Highlighting: the language server says what every word is; there is no second grammar here.

import { Decoration, EditorView, StateEffect, StateField } from "./codemirror.js";
import { oneAtATime } from "./dom.js";

const setTokens = StateEffect.define();
const marks = new Map();

function markOf(type) {
  if (!marks.has(type)) marks.set(type, Decoration.mark({ class: `tok-${type}` }));
  return marks.get(type);
}

/** Keeps the marks, moved with the text until new ones come. */
export const tokenField = StateField.define({
  create: () => Decoration.none,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setTokens)) return effect.value;
    return value.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Return the protocol's five numbers a token as marks in the text. */
function decorations(doc, legend, data) {
  const ranges = [];
  let line = 0;
  let character = 0;
  for (let at = 0; at + 4 < data.length; at += 5) {
    if (data[at]) {
      line += data[at];
      character = 0;
    }
    character += data[at + 1];
    if (line >= doc.lines) break;
    const whole = doc.line(line + 1);
    const from = Math.min(whole.from + character, whole.to);
    const to = Math.min(from + data[at + 2], whole.to);
    if (to > from) ranges.push(markOf(legend[data[at + 3]]).range(from, to));
  }
  return Decoration.set(ranges);
}

/** Keep the highlighting of an editor that of its text. */
export function highlight(language, view) {
  const renew = oneAtATime(async () => {
    const answer = await language.askNow("semanticTokens/full");
    if (answer) view.dispatch({ effects: setTokens.of(decorations(view.state.doc, language.legend, answer.data)) });
  });
  language.addEventListener("synced", renew);
}
