// The editor of the page: CodeMirror with the language server behind it.

import {
  bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap, defaultKeymap, drawSelection, EditorState, EditorView,
  foldKeymap, highlightActiveLine, highlightActiveLineGutter, highlightSelectionMatches, highlightSpecialChars, history,
  historyKeymap, indentService, indentUnit, indentWithTab, keymap, lineNumbers, lintKeymap, placeholder, search, searchKeymap,
} from "./codemirror.js";

const OPENS = /[{([][^})\]"#]*$/;
const CLOSES = /^\s*[})\]]/;

/** A line after an open bracket stands further in, one that closes it further out. */
const indentation = indentService.of((context, pos) => {
  const line = context.state.doc.lineAt(pos);
  const previous = context.lineAt(pos, -1);
  const before = line.from === previous.from && line.number > 1 ? context.state.doc.line(line.number - 1) : previous;
  const base = /^\s*/.exec(before.text)[0].length;
  const opens = OPENS.test(before.text) ? context.unit : 0;
  const closes = CLOSES.test(context.textAfterPos(pos)) ? context.unit : 0;
  return Math.max(0, base + opens - closes);
});

const languageData = EditorState.languageData.of(() => [
  { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"', '"""'] } },
]);

/**
 * What is typed over a selection goes in as a change of the state. Left to itself, Chromium changes the elements, and gives
 * them styles that the policy of the page forbids.
 */
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main } = view.state.selection;
    const text = event.data;
    if (event.inputType !== "insertText" || !text || main.empty || event.isComposing || view.composing) return false;
    event.preventDefault();
    const insert = () => view.state.update(view.state.replaceSelection(text), { userEvent: "input.type", scrollIntoView: true });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, main.from, main.to, text, insert))) view.dispatch(insert());
    return true;
  },
});

function extensionsOf(nonce, changed, more) {
  return [
    nonce ? EditorView.cspNonce.of(nonce) : [],
    lineNumbers(),
    highlightActiveLineGutter(),
    highlightSpecialChars(),
    history(),
    drawSelection(),
    indentation,
    indentUnit.of("  "),
    languageData,
    typedOver,
    bracketMatching(),
    closeBrackets(),
    highlightActiveLine(),
    EditorView.lineWrapping,
    highlightSelectionMatches(),
    search({ top: true }),
    placeholder("Write a program, or choose an example above."),
    more,
    keymap.of([
      ...closeBracketsKeymap,
      ...defaultKeymap,
      ...searchKeymap,
      ...historyKeymap,
      ...foldKeymap,
      ...completionKeymap,
      ...lintKeymap,
      indentWithTab,
    ]),
    EditorView.contentAttributes.of({
      "aria-label": "Program",
      "aria-describedby": "editor-help",
      spellcheck: "false",
      autocapitalize: "off",
    }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) changed(update.state.doc);
    }),
  ];
}

/** Keep the cursor in sight when the editor becomes lower, as it does when there are problems to be listed below. */
function keepCursorInSight(view) {
  let before = view.dom.clientHeight;
  new ResizeObserver(() => {
    const lost = before - view.dom.clientHeight;
    before = view.dom.clientHeight;
    const { head } = view.state.selection.main;
    const { bottom } = view.dom.getBoundingClientRect();
    const cursor = lost > 0 && view.hasFocus ? view.coordsAtPos(head) : null;
    if (cursor && cursor.bottom > bottom && cursor.bottom <= bottom + lost + 1) view.dispatch({ effects: EditorView.scrollIntoView(head) });
  }).observe(view.dom);
}

/** Make an editor in `parent`; `changed(doc)` is told of every change. `more` are further extensions. */
export function makeEditor(parent, { nonce, changed, more }) {
  const extensions = extensionsOf(nonce, changed, more);
  const view = new EditorView({ parent, state: EditorState.create({ extensions }) });
  keepCursorInSight(view);
  return {
    view,
    /** Return the text as it stands. */
    text: () => view.state.doc.toString(),
    /** Begin with another text; what was done before cannot be undone into it. */
    load: (text) => view.setState(EditorState.create({ doc: text, extensions })),
    /** Put a text in place of the whole one; that can be undone. */
    replace: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
  };
}
