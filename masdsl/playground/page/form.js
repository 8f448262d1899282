// A form of what a flow takes, made from the JSON schemas of its parameters.

import { el } from "./dom.js";

/** What an input holds that is not what the schema asks for. */
export class Unfit extends Error {}

function optionalOf(schema) {
  const others = (schema.anyOf ?? []).filter((one) => one.type !== "null");
  return schema.anyOf && others.length === 1 && others.length < schema.anyOf.length ? { ...others[0], isOptional: true } : schema;
}

/** Return a value that has the form of a schema, as an example of what may be written. */
function exampleOf(schema) {
  const one = optionalOf(schema);
  if (one.enum) return one.enum[0];
  if (one.type === "object") return Object.fromEntries(Object.entries(one.properties ?? {}).map(([name, part]) => [name, exampleOf(part)]));
  if (one.type === "array") return [exampleOf(one.items ?? {})];
  return { integer: 1, number: 1, boolean: true, null: null }[one.type] ?? "…";
}

function rowsFor(text) {
  return Math.min(10, Math.max(2, text.split("\n").length));
}

/** Each kind of input: `make(schema, value)` gives the element, `read(element, schema)` its value. */
const TEXT = {
  make(schema, value) {
    const text = typeof value === "string" ? value : "";
    return el("textarea", { value: text, rows: rowsFor(text), maxLength: schema.maxLength ?? -1, spellcheck: true });
  },
  read: (field, schema) => (field.value === "" && schema.isOptional ? null : field.value),
};
const NUMBER = {
  make(schema, value) {
    const step = schema.type === "integer" ? "1" : "any";
    return el("input", { type: "number", step, value: value ?? "" });
  },
  read(field, schema) {
    if (field.value === "" && schema.isOptional && !field.validity.badInput) return null;
    const number = field.valueAsNumber;
    if (Number.isNaN(number)) throw new Unfit("write a number");
    if (schema.type === "integer" && !Number.isSafeInteger(number)) throw new Unfit("write a whole number of at most 15 digits");
    return number;
  },
};
const CHOICE = {
  make(schema, value) {
    const none = schema.isOptional ? [el("option", { value: "" }, "(none)")] : [];
    const made = el("select", {}, none, schema.enum.map((word) => el("option", { value: word }, word)));
    made.value = value ?? (schema.isOptional ? "" : schema.enum[0]);
    return made;
  },
  read: (field, schema) => (field.value === "" && schema.isOptional ? null : field.value),
};
const SWITCH = {
  make: (_schema, value) => el("input", { type: "checkbox", checked: value === true }),
  read: (field) => field.checked,
};
const JSON_DATA = {
  make(schema, value) {
    const text = value === undefined ? "" : JSON.stringify(value, null, 2);
    const example = `as in ${JSON.stringify(exampleOf(schema))}`;
    return el("textarea", { value: text, rows: Math.max(3, rowsFor(text)), placeholder: example, class: "json", spellcheck: false });
  },
  read(field, schema) {
    if (field.value.trim() === "" && schema.isOptional) return null;
    try {
      return JSON.parse(field.value);
    } catch (fault) {
      throw new Unfit(`write JSON, as in ${JSON.stringify(exampleOf(schema))} (${fault.message})`);
    }
  },
};

function kindOf(schema) {
  if (schema.enum && schema.enum.every((word) => typeof word === "string")) return CHOICE;
  if (schema.type === "boolean" && !schema.isOptional) return SWITCH;
  return { string: TEXT, integer: NUMBER, number: NUMBER }[schema.type] ?? JSON_DATA;
}

/** The inputs of a flow. `values` are those that were written before, by name. */
export class Form {
  constructor(flow, values = {}) {
    this.fields = flow.parameters.map((parameter) => this.field(parameter, values[parameter.name]));
    this.shown = el("div", { class: "inputs" }, this.fields.map((one) => one.row));
    if (!this.fields.length) this.shown.append(el("p", { class: "muted" }, "It takes nothing."));
  }

  field(parameter, before) {
    const schema = optionalOf(parameter.schema ?? {});
    const kind = kindOf(schema);
    const input = kind.make(schema, before ?? parameter.default ?? undefined);
    const id = `input-${parameter.name}`;
    input.id = id;
    input.setAttribute("aria-describedby", `${id}-type ${id}-fault`);
    const type = el("span", { class: "muted", id: `${id}-type` }, parameter.type);
    const fault = el("span", { class: "fault", id: `${id}-fault`, role: "alert" });
    const row = el("div", { class: `field ${kind === SWITCH ? "switch" : ""}` }, el("label", { for: id }, parameter.name), type, input, fault);
    return { name: parameter.name, schema, kind, input, fault, row };
  }

  /** Return the inputs; null, with each fault beside its field, where they do not fit. */
  read() {
    const values = {};
    let first = null;
    for (const { name, schema, kind, input, fault } of this.fields) {
      fault.textContent = "";
      try {
        values[name] = kind.read(input, schema);
      } catch (unfit) {
        if (!(unfit instanceof Unfit)) throw unfit;
        fault.textContent = unfit.message;
        first ??= input;
      }
      input.setAttribute("aria-invalid", String(Boolean(fault.textContent)));
    }
    first?.focus();
    return first ? null : values;
  }

  /** Show beside the fields what the server says of them: places in the inputs are JSON pointers. */
  blame(faults) {
    for (const { pointer, expected, got } of faults) {
      const [, name, ...inner] = pointer.split("/");
      const field = this.fields.find((one) => one.name === name);
      if (!field) continue;
      field.fault.textContent = `${inner.length ? `at ${inner.join("/")}: ` : ""}expected ${expected}, got ${got}`;
      field.input.setAttribute("aria-invalid", "true");
    }
  }

  /** Return what can be read of the inputs, to be written into another form. */
  draft() {
    const values = {};
    for (const { name, schema, kind, input } of this.fields) {
      try {
        values[name] = kind.read(input, schema);
      } catch {
        // what does not fit is not kept
      }
    }
    return values;
  }
}
