// Places of the Language Server Protocol (lines and UTF-16 columns from 0) and offsets of CodeMirror.

/** Return the offset of a place, the nearest one where the text has none such. */
export function offsetOf(doc, { line, character }) {
  if (line >= doc.lines) return doc.length;
  const found = doc.line(line + 1);
  return Math.min(found.from + character, found.to);
}

/** Return the place of an offset. */
export function placeOf(doc, offset) {
  const line = doc.lineAt(offset);
  return { line: line.number - 1, character: offset - line.from };
}

/** Return a range of the protocol as {from, to}. */
export function spanOf(doc, range) {
  return { from: offsetOf(doc, range.start), to: offsetOf(doc, range.end) };
}

/** Return the protocol's edits as changes of CodeMirror. */
export function changesOf(doc, edits) {
  return edits.map((edit) => ({ ...spanOf(doc, edit.range), insert: edit.newText.replace(/\r\n?/g, "\n") }));
}

/** Return the range of the whole text. */
export function wholeRange(doc) {
  return { start: { line: 0, character: 0 }, end: placeOf(doc, doc.length) };
}
