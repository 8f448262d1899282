// The page: what it begins with, and how its parts hear of each other.

import { get } from "./api.js";
import { assistance } from "./assistance.js";
import { showFlows } from "./bounds.js";
import { changeKeys, format } from "./changes.js";
import { Compare } from "./compare.js";
import { keymap, Prec } from "./codemirror.js";
import { watchConnection } from "./connection.js";
import { Documents } from "./documents.js";
import { byId, download, el } from "./dom.js";
import { makeEditor } from "./editor.js";
import { Graph } from "./graph.js";
import { annotate, hintExtensions } from "./hints.js";
import { Language } from "./language.js";
import { Launch } from "./launch.js";
import { Look } from "./look.js";
import { quiet, say, tell, tellFault } from "./notice.js";
import { problemExtensions, problemKeys, Problems } from "./problems.js";
import { Runs } from "./runs.js";
import { makeTabs } from "./tabs.js";
import { highlight, tokenField } from "./tokens.js";

const AGAIN = 2_000;

async function explain(code) {
  try {
    const { text } = await get(`api/explain/${encodeURIComponent(code)}`);
    const dialog = byId("explanation");
    const close = el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close");
    dialog.replaceChildren(el("pre", { tabIndex: 0 }, text), el("div", { class: "row" }, close));
    dialog.showModal();
  } catch (fault) {
    tellFault(fault, `Explaining ${code}`);
  }
}

function socketUrl() {
  const url = new URL("lsp", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

function begin(start) {
  const documents = new Documents(start);
  const look = new Look(documents);
  const language = new Language(socketUrl(), start.root);
  const runs = new Runs(documents);
  const graph = new Graph(documents, look, () => runs.current?.run);
  const openPanel = makeTabs(byId("tabs"), (panel) => graph.see(panel === "panel-graph"));
  const compare = new Compare(documents);
  let problems = null;

  const commands = Prec.high(
    keymap.of([{ key: "Mod-Enter", run: () => (openPanel("panel-run"), byId("launch").requestSubmit(), true) }]),
  );
  const editor = makeEditor(byId("editor"), {
    nonce: document.querySelector('meta[name="csp-nonce"]').content,
    changed(doc) {
      documents.edited(doc.toString());
      language.changed(doc);
      look.soon();
    },
    more: [tokenField, hintExtensions, problemExtensions, assistance(language), changeKeys(language), problemKeys(() => problems), commands],
  });
  problems = new Problems(language, editor.view, explain);
  highlight(language, editor.view);
  annotate(language, editor.view);
  const launch = new Launch(look, start.tiers ?? {}, (flow, inputs, models) => runs.start(flow, inputs, models));

  function chooser() {
    const names = documents.programs.map(({ name }) => name);
    if (!names.includes(documents.current.name)) names.unshift(documents.current.name);
    const docs = new Map(documents.programs.map(({ name, doc }) => [name, doc]));
    byId("program").replaceChildren(
      ...names.map((name) => el("option", { value: name, title: docs.get(name) ?? "" }, `${name}${documents.isEdited(name) ? " (edited)" : ""}`)),
    );
    byId("program").value = documents.current.name;
    const isEdited = documents.isEdited(documents.current.name);
    byId("save").hidden = !documents.current.canSave;
    byId("save").disabled = !isEdited;
    byId("saved").textContent = documents.current.canSave ? (isEdited ? "edited" : "saved") : isEdited ? "edited, only in this page" : "example";
    document.title = `${documents.current.name} – masdsl playground`;
  }

  function opened() {
    const { uri, text } = documents.current;
    editor.load(text);
    problems.clear();
    quiet();
    graph.clear();
    look.clear();
    language.open(uri, editor.view.state.doc);
    chooser();
    look.now();
  }

  async function save() {
    if (!documents.current.canSave) {
      tell("info", "This program is an example", "Edits of it are kept in this page only.", "Download it, or start `mas serve FILE.mas` to edit a file.");
      return;
    }
    if (!documents.isEdited(documents.current.name)) return;
    try {
      await documents.save();
      language.saved();
      say("saved");
    } catch (fault) {
      tellFault(fault, "Saving");
    }
  }

  documents.addEventListener("opened", opened);
  documents.addEventListener("edited", chooser);
  documents.addEventListener("saved", chooser);
  look.addEventListener("looked", () => showFlows(look));
  runs.addEventListener("unfit", (event) => launch.unfit(event.detail));
  runs.addEventListener("chosen", () => graph.renew());
  runs.addEventListener("moved", () => graph.renew());
  runs.addEventListener("text", (event) => (editor.replace(event.detail), editor.view.focus()));
  watchConnection(language, () => (look.now(), runs.list()));

  byId("program").onchange = () =>
    documents.open(byId("program").value).catch((fault) => (chooser(), tellFault(fault, "Opening the program")));
  byId("save").onclick = save;
  byId("download").onclick = () => download(`${documents.current.name}.mas`, editor.text());
  byId("format").onclick = () => format(language, editor.view);
  window.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s" && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      save();
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (documents.hasEdits) event.preventDefault();
  });

  byId("version").textContent = start.version;
  opened();
  language.connect();
  runs.list();
  return compare;
}

async function load() {
  try {
    const start = await get("api/start");
    document.body.classList.remove("waiting");
    begin(start);
  } catch (fault) {
    tellFault(fault, "Loading the page");
    setTimeout(load, AGAIN);
  }
}

load();
