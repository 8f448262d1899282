// The server's JSON endpoints, below the address of the page.

/** What the server refused: `title`, `detail` and `next` as it said them, `diagnostics` where a program has errors, `faults` of inputs. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `status ${status}`);
    this.status = status;
    this.title = problem.title || "The server refused this";
    this.detail = problem.detail || "";
    this.next = problem.next || "";
    this.diagnostics = Array.isArray(problem.diagnostics) ? problem.diagnostics : [];
    this.faults = Array.isArray(problem.faults) ? problem.faults : [];
  }
}

/** The server does not answer. */
export class Gone extends Error {}

/** Call an endpoint. Raises Refused or Gone. */
export async function call(method, path, body) {
  let answer, text;
  try {
    answer = await fetch(new URL(path, document.baseURI), {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      cache: "no-store",
      redirect: "error",
    });
    text = await answer.text();
  } catch {
    throw new Gone("the server does not answer");
  }
  let data = {};
  try {
    data = text ? JSON.parse(text) : {};
  } catch {
    throw new Refused(answer.status, { title: "The server's answer cannot be read", detail: text.slice(0, 200) });
  }
  if (!answer.ok) throw new Refused(answer.status, data);
  return data;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
