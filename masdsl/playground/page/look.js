// What the server says of the program as a whole: its flows, what they take, and what they cost at worst.

import { Gone, post } from "./api.js";
import { oneAtATime, soon } from "./dom.js";
import { tellFault } from "./notice.js";

const PAUSE = 250;
const AGAIN = 5_000;

/** Events: `looked` whenever the server has looked at the newest text. `flows` are those of the last text without errors. */
export class Look extends EventTarget {
  constructor(documents) {
    super();
    this.documents = documents;
    this.flows = [];
    this.isGood = false;
    this.name = "";
    this.text = null;
    const renew = oneAtATime(() => this.renew());
    this.now = renew;
    this.soon = soon(renew, PAUSE);
    this.later = soon(renew, AGAIN);
  }

  /** Whether it knows the text as it stands. */
  get isNewest() {
    return this.name === this.documents.current.name && this.text === this.documents.current.text;
  }

  /** Another program is open, of which nothing is known yet. */
  clear() {
    this.flows = [];
    this.isGood = false;
    this.text = null;
    this.dispatchEvent(new Event("looked"));
  }

  async renew() {
    const { name, uri, text } = this.documents.current;
    let answer;
    try {
      answer = await post("api/look", { uri, text });
    } catch (fault) {
      if (!(fault instanceof Gone)) {
        tellFault(fault, "Looking at the program");
        this.later();
      }
      return;
    }
    const { current } = this.documents;
    if (current.name !== name || current.text !== text) return; // another look is on its way
    this.isGood = Boolean(answer.ok);
    if (this.isGood || this.name !== name) this.flows = answer.flows ?? [];
    this.name = name;
    this.text = text;
    this.dispatchEvent(new Event("looked"));
  }
}
