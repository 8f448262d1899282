// The client of `mas lsp`: starts the language server, and runs command lines in a terminal where a lens asks for it.
"use strict";

const { commands, env, window, workspace, ProcessExecution, Task, TaskScope, tasks } = require("vscode");
const { LanguageClient, State } = require("vscode-languageclient/node");

let client;

function command() {
  const configured = workspace.getConfiguration("mas").get("command");
  return Array.isArray(configured) && configured.length > 0 ? configured : ["mas"];
}

async function start() {
  const [program, ...rest] = command();
  const server = { command: program, args: [...rest, "lsp"], options: { cwd: workspace.workspaceFolders?.[0]?.uri.fsPath } };
  client = new LanguageClient("mas", "mas", server, {
    documentSelector: [
      { scheme: "file", language: "mas" },
      { scheme: "untitled", language: "mas" },
    ],
  });
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const install = "pip install 'masdsl[lsp]'";
    const chosen = await window.showErrorMessage(
      `mas: \`${program}\` did not start as a language server. Install it (${install}), or say where it is in the setting mas.command.`,
      "Copy the command",
      "Open the setting",
    );
    if (chosen === "Copy the command") {
      await env.clipboard.writeText(install);
    } else if (chosen === "Open the setting") {
      await commands.executeCommand("workbench.action.openSettings", "mas.command");
    }
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running && running.state !== State.Stopped) {
    await running.stop();
  }
}

// `line` is a command line as a list; its first word stands for `mas`. No shell reads it: a title may hold anything.
async function runInTerminal(line) {
  if (!Array.isArray(line) || line[0] !== "mas" || line.some((word) => typeof word !== "string")) {
    return;
  }
  await workspace.saveAll(false);
  const [program, ...rest] = command();
  const run = new ProcessExecution(program, [...rest, ...line.slice(1)]);
  const task = new Task({ type: "mas" }, TaskScope.Workspace, line.slice(0, 2).join(" "), "mas", run);
  task.presentationOptions = { clear: true, focus: true };
  await tasks.executeTask(task);
}

function onThisFile(name) {
  return async () => {
    const path = window.activeTextEditor?.document.uri;
    if (path?.scheme === "file") {
      await runInTerminal(["mas", name, path.fsPath]);
    }
  };
}

async function activate(context) {
  context.subscriptions.push(
    commands.registerCommand("mas.runInTerminal", runInTerminal),
    commands.registerCommand("mas.testFile", onThisFile("test")),
    commands.registerCommand("mas.showCost", onThisFile("cost")),
    commands.registerCommand("mas.restartServer", async () => {
      await stop();
      await start();
    }),
    workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration("mas.command") && workspace.isTrusted) {
        await stop();
        await start();
      }
    }),
    workspace.onDidGrantWorkspaceTrust(() => start()),
  );
  if (workspace.isTrusted) {
    await start();
  }
}

module.exports = { activate, deactivate: stop };
