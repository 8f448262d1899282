// Elements made of data. Text from programs, models and tools goes through here as text: nothing is ever parsed as markup.

/** Texts longer than this many characters are shown in parts. */
const PART = 20_000;

/**
 * Make an element. Of `properties`, `on…` are listeners, `class` is the class, names with a hyphen and `role`, `for` are
 * attributes, the others are properties of the element. Children are nodes or texts; null and false are left out.
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Return the element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Show a text of any length in a `pre`: its beginning, and more of it when that is asked for. */
export function longText(text, label) {
  const shown = el("pre", { class: "long", tabIndex: 0, role: "region", "aria-label": label });
  let end = 0;
  const more = el("button", { type: "button", class: "quiet", onclick: next });
  const all = el("button", { type: "button", class: "quiet", onclick: () => download(`${label}.txt`, text) }, "Download all of it");
  const controls = el("div", { class: "row" }, more, all);
  function next() {
    const from = end;
    end = Math.min(text.length, end + (from ? 5 * PART : PART));
    shown.append(text.slice(from, end));
    more.textContent = `Show more (${count(text.length - end, "character")} left)`;
    controls.hidden = end >= text.length;
  }
  next();
  return el("div", { class: "long-text" }, shown, controls);
}

/** Show a value that is JSON data: a text as it is, anything else as indented JSON. */
export function shownValue(value, label) {
  return longText(typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "nothing", label);
}

/** Give the reader a file. */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Return a program's name, which the journal has with its ending. */
export function programName(program) {
  return String(program ?? "").replace(/\.mas$/, "");
}

/** Return a number with its noun: `1 step`, `2,000 steps`. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Return a function that does the work once nothing has asked for it for so many milliseconds. */
export function soon(work, milliseconds) {
  let waiting = 0;
  return (...given) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => work(...given), milliseconds);
  };
}

/** Return a function that does the work, one at a time: what is asked for meanwhile is done once, afterwards. */
export function oneAtATime(work) {
  let busy = false;
  let again = false;
  return async function run() {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      await work();
    } finally {
      busy = false;
      if (again) run();
    }
  };
}
