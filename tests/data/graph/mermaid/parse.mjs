// What Mermaid's own parser makes of flowcharts: node parse.mjs MODULES MERMAID FILE..., a line of JSON for each file.
import fs from 'fs';
import { createRequire } from 'module';
import vm from 'vm';

const [modules, bundle, ...files] = process.argv.slice(2);
const { parseHTML } = createRequire(`${modules}/`)('linkedom');
const window = parseHTML('<html><body></body></html>');
Object.assign(globalThis, { window, document: window.document, Element: window.Element });
vm.runInThisContext(fs.readFileSync(bundle, 'utf8'));
for (const file of files) {
  const text = fs.readFileSync(file, 'utf8');
  let told;
  try {
    await globalThis.mermaid.parse(text);
    const { db } = await globalThis.mermaid.mermaidAPI.getDiagramFromText(text);
    const groups = new Set(db.getSubGraphs().map((group) => group.id));
    // a group that an edge leads to is a vertex to the parser, too
    const vertices = [...db.getVertices().keys()].filter((id) => !groups.has(id));
    told = { vertices: vertices.length, edges: db.getEdges().length, groups: groups.size };
  } catch (error) {
    told = { error: String(error.message) };
  }
  console.log(JSON.stringify(told));
}
