// The programs that can be opened: what was written into each is kept while the page is open.

import { get, post } from "./api.js";

/** The open program and the others. Events: `opened` (another one is open), `saved`, `edited`. */
export class Documents extends EventTarget {
  constructor(start) {
    super();
    this.programs = start.programs;
    this.kept = new Map();
    this.current = this.keep(start.document);
  }

  keep({ name, uri, text, hash = "", can_save = false }) {
    const made = { name, uri, text, opened: text, saved: text, hash, canSave: can_save };
    this.kept.set(name, made);
    return made;
  }

  /** Whether there is text that is nowhere but in this page. */
  get hasEdits() {
    return [...this.kept.values()].some((one) => one.text !== one.saved);
  }

  isEdited(name) {
    const one = this.kept.get(name);
    return one !== undefined && one.text !== one.saved;
  }

  /** The text of the open program has changed. */
  edited(text) {
    const before = this.isEdited(this.current.name);
    this.current.text = text;
    if (before !== this.isEdited(this.current.name)) this.dispatchEvent(new Event("edited"));
  }

  /** Return a program as it was when it was opened, fetching it if need be. */
  async find(name) {
    return this.kept.get(name) ?? this.keep(await get(`api/programs/${encodeURIComponent(name)}`));
  }

  async open(name) {
    if (name === this.current.name) return;
    this.current = await this.find(name);
    this.dispatchEvent(new Event("opened"));
  }

  /** Write the open program to its file. */
  async save() {
    const one = this.current;
    const { text } = one;
    const { hash } = await post("api/save", { uri: one.uri, text, hash: one.hash });
    one.hash = hash;
    one.saved = text;
    this.dispatchEvent(new Event("saved"));
  }
}
