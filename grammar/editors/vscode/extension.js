// The client: starts `pnyx lsp` and hands the editor's questions to it.
"use strict";

const { commands, window, workspace } = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

async function start() {
  const settings = workspace.getConfiguration("pnyx");
  const [command, ...args] = settings.get("command");
  const server = { command, args, transport: TransportKind.stdio };
  client = new LanguageClient("pnyx", "Pnyx", server, {
    documentSelector: [
      { scheme: "file", language: "pnyx" },
      { scheme: "untitled", language: "pnyx" },
      { scheme: "file", language: "yaml", pattern: settings.get("yaml") },
    ],
  });
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const help = "install it with `pip install 'pnyx[lsp]'`, or set `pnyx.command` to where it is";
    window.showErrorMessage(`The Pnyx language server did not start (${error.message}): ${help}`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

async function activate(context) {
  context.subscriptions.push(
    commands.registerCommand("pnyx.restart", async () => {
      await stop();
      await start();
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
