// Whether the server and the language server are there, in words and in what can be done.

import { Gone, get } from "./api.js";
import { byId } from "./dom.js";
import { say } from "./notice.js";

const STATES = {
  connecting: ["connecting", "Connecting …"],
  ready: ["ready", "Ready"],
  language: ["lost", "The language server has ended; it is started again …"],
  gone: ["lost", "The server does not answer; your text is kept. Trying again …"],
  other: ["lost", "Another server answers at this address: open the address that it printed. Your text is kept."],
};

function show(name, reason = "") {
  const [kind, text] = STATES[name];
  const place = byId("connection");
  place.className = `chip ${kind}`;
  place.textContent = text;
  place.title = reason;
  if (kind === "lost") say(text);
}

/** Keep the words about the connection true. `back()` is told when the server answers again after it was gone. */
export function watchConnection(language, back) {
  let wasGone = false;
  show("connecting");
  language.addEventListener("state", async (event) => {
    if (event.detail === "ready") {
      show("ready");
      if (wasGone) back();
      wasGone = false;
      return;
    }
    let found = "language";
    try {
      await get("api/start");
    } catch (fault) {
      found = fault instanceof Gone ? "gone" : "other";
      wasGone = true;
    }
    if (language.state === "lost") show(found, language.reason);
  });
}
