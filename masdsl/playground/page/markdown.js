// What the language server says in Markdown, as elements: fences, code, bold, lists and paragraphs. All else is text.

import { el } from "./dom.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*/g;

function inline(text) {
  const made = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    made.push(text.slice(at, found.index), found[1] === undefined ? el("strong", {}, found[2]) : el("code", {}, found[1]));
    at = found.index + found[0].length;
  }
  return [...made, text.slice(at)].filter((part) => part !== "");
}

function block(text) {
  const lines = text.split("\n");
  if (lines.every((line) => /^\s*[-*] /.test(line))) {
    return el("ul", {}, lines.map((line) => el("li", {}, inline(line.replace(/^\s*[-*] /, "")))));
  }
  const heading = /^#{1,6} (.*)$/.exec(text);
  if (heading) return el("p", {}, el("strong", {}, heading[1]));
  if (/^(-{3,}|\*{3,})$/.test(text)) return el("hr");
  return el("p", {}, inline(lines.join(" ").trim()));
}

/** Return a text, Markdown or markup content of the protocol, as an element. */
export function markdown(content, kind = "doc") {
  const text = typeof content === "string" ? content : (content?.value ?? "");
  const made = el("div", { class: kind });
  if (content?.kind === "plaintext") {
    made.append(el("p", {}, text));
    return made;
  }
  text.split(/^(?:```|~~~).*$/m).forEach((part, number) => {
    if (number % 2) made.append(el("pre", {}, el("code", {}, part.replace(/^\n|\n$/g, ""))));
    else made.append(...part.split(/\n\s*\n/).map((one) => one.trim()).filter(Boolean).map(block));
  });
  return made;
}
