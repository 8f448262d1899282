// Makes masdsl/playground/page/codemirror.js of what package-lock.json names, with the licences of what went into it
// beside it. The same inputs give the same bytes; their digest stands in the first line of the file.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const page = process.argv[2] ?? join(here, "../../masdsl/playground/page");
const INPUTS = ["build.mjs", "entry.mjs", "package-lock.json", "package.json"];

const digest = createHash("sha256");
for (const name of INPUTS) digest.update(readFileSync(join(here, name), "utf8").replaceAll("\r\n", "\n"));

const made = await build({
  absWorkingDir: here,
  entryPoints: ["entry.mjs"],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  metafile: true,
  write: false,
});
const banner = `/* CodeMirror 6, by editors/playground; inputs: sha256 ${digest.digest("hex")}; licences: codemirror.LICENSE.txt */\n`;
writeFileSync(join(page, "codemirror.js"), banner + made.outputFiles[0].text);

const packages = new Set();
for (const name of Object.keys(made.metafile.inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(name);
  if (found) packages.add(found[1]);
}
const licences = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`;
});
writeFileSync(join(page, "codemirror.LICENSE.txt"), licences.join(`\n${"-".repeat(72)}\n\n`));
