// The session with the language server: it always knows the text as it stands before it is asked about it.

import { placeOf } from "./positions.js";
import { Rpc } from "./rpc.js";

/** Milliseconds without a keystroke after which the server is sent the text. */
const PAUSE = 60;
const REFUSED = -32803;
const MARKDOWN = ["markdown", "plaintext"];
const CAPABILITIES = {
  general: { positionEncodings: ["utf-16"] },
  textDocument: {
    synchronization: {},
    publishDiagnostics: { versionSupport: true, relatedInformation: true },
    codeAction: { codeActionLiteralSupport: { codeActionKind: { valueSet: ["quickfix", "source.fixAll"] } } },
    completion: { completionItem: { documentationFormat: MARKDOWN }, contextSupport: true },
    hover: { contentFormat: MARKDOWN },
    signatureHelp: {
      signatureInformation: { documentationFormat: MARKDOWN, parameterInformation: { labelOffsetSupport: true } },
    },
    definition: {},
    references: {},
    rename: { prepareSupport: true },
    formatting: {},
    foldingRange: { lineFoldingOnly: true },
    inlayHint: {},
    semanticTokens: { requests: { full: true }, tokenTypes: [], tokenModifiers: [], formats: ["relative"] },
  },
};

/**
 * The language server behind a WebSocket. Events: `state` (detail: connecting, ready, lost), `synced` when the
 * server has the newest text, `diagnostics` (detail: of the newest text, as the protocol has them).
 */
export class Language extends EventTarget {
  constructor(url, root = null) {
    super();
    this.root = root;
    this.state = "connecting";
    this.legend = [];
    this.version = 0;
    this.uri = "";
    this.doc = null;
    this.isDirty = false;
    this.timer = 0;
    this.rpc = new Rpc(url, {
      opened: () => this.begin(),
      closed: (reason) => this.become("lost", reason),
      handlers: { "textDocument/publishDiagnostics": (params) => this.published(params) },
    });
  }

  become(state, reason = "") {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  connect() {
    this.rpc.connect();
  }

  async begin() {
    try {
      const given = { processId: null, rootUri: this.root, capabilities: CAPABILITIES, clientInfo: { name: "masdsl playground" } };
      const { capabilities } = await this.rpc.request("initialize", given);
      this.legend = capabilities.semanticTokensProvider?.legend.tokenTypes ?? [];
    } catch {
      return; // the socket tells of its end by itself
    }
    this.rpc.notify("initialized", {});
    this.rpc.isGood();
    this.become("ready");
    if (this.uri) this.opened();
  }

  /** Take another text in place of the one that was open. */
  open(uri, doc) {
    if (this.uri && this.state === "ready") this.rpc.notify("textDocument/didClose", { textDocument: { uri: this.uri } });
    this.uri = uri;
    this.doc = doc;
    if (this.state === "ready") this.opened();
  }

  opened() {
    this.isDirty = false;
    this.version += 1;
    const textDocument = { uri: this.uri, languageId: "mas", version: this.version, text: this.doc.toString() };
    this.rpc.notify("textDocument/didOpen", { textDocument });
    this.dispatchEvent(new Event("synced"));
  }

  /** The text has changed. */
  changed(doc) {
    this.doc = doc;
    this.isDirty = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sync(), PAUSE);
  }

  sync() {
    if (!this.isDirty || this.state !== "ready") return;
    clearTimeout(this.timer);
    this.isDirty = false;
    this.version += 1;
    const textDocument = { uri: this.uri, version: this.version };
    this.rpc.notify("textDocument/didChange", { textDocument, contentChanges: [{ text: this.doc.toString() }] });
    this.dispatchEvent(new Event("synced"));
  }

  saved() {
    this.rpc.notify("textDocument/didSave", { textDocument: { uri: this.uri } });
  }

  /** Whether the server's last word is about the text as it stands. */
  isNewest(version) {
    return version === this.version && !this.isDirty;
  }

  published({ uri, version, diagnostics }) {
    if (uri !== this.uri || (version ?? this.version) !== this.version || this.isDirty) return;
    this.dispatchEvent(new CustomEvent("diagnostics", { detail: diagnostics }));
  }

  /** Ask about the open text; null where there is no connection or no answer. Raises what the server refuses. */
  async ask(method, params = {}) {
    if (this.state !== "ready") return null;
    this.sync();
    try {
      return await this.rpc.request(`textDocument/${method}`, { textDocument: { uri: this.uri }, ...params });
    } catch (fault) {
      if (fault.code === REFUSED) throw fault;
      return null;
    }
  }

  /** The same, but null as well where the text has changed before the answer came. */
  async askNow(method, params) {
    this.sync();
    const { version } = this;
    const answer = await this.ask(method, params);
    return this.isNewest(version) ? answer : null;
  }

  /** Ask about a place. */
  askAt(method, doc, offset, more = {}) {
    return this.ask(method, { position: placeOf(doc, offset), ...more });
  }
}
