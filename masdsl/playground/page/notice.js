// What the page has to say: one notice at a time, with what can be done, and a line for screen readers.

import { Gone, Refused } from "./api.js";
import { byId, el } from "./dom.js";

/** Show a notice until it is closed, or another one comes. `kind` is error or info. */
export function tell(kind, title, detail = "", next = "") {
  const close = el("button", { type: "button", class: "quiet", "aria-label": "Close this notice", onclick: quiet }, "Close");
  const lines = [el("strong", {}, title), detail && el("span", {}, detail), next && el("span", { class: "next" }, next)];
  byId("notice").replaceChildren(el("div", { class: `notice ${kind}` }, el("p", {}, ...lines.filter(Boolean)), close));
}

/** Take the notice away. */
export function quiet() {
  byId("notice").replaceChildren();
}

/** Say a short text to screen readers only. */
export function say(text) {
  byId("said").textContent = text;
}

/** Tell of something that failed: in the server's words where it has some. */
export function tellFault(fault, doing) {
  if (fault instanceof Refused) tell("error", fault.title, fault.detail, fault.next);
  else if (fault instanceof Gone)
    tell("error", "The server does not answer", `${doing} was not done; your text is kept in this page.`, "Start `mas serve` again at the same address, or copy the text.");
  else {
    tell("error", "The page made a mistake", `${doing}: ${fault.message}`, "Save your text and load the page again.");
    console.error(fault);
  }
}
