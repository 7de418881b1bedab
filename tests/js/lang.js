// Reads transcripts and matches their patterns, as tests/transcripts/README.md says. It runs nothing.
"use strict";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Reads the text of a transcript into `{env, steps: [{line, text, kind, …}]}`; throws "LINE: why: text". */
function parse(text) {
  const script = { env: {}, steps: [] };
  for (const [line, said] of joined(text)) {
    const fail = (why) => {
      throw new Error(`${line}: ${why}: ${said}`);
    };
    if (said.startsWith("@ ")) {
      if (script.steps.length) fail("`@` stands above the first step only");
      for (const pair of said.slice(2).split(/\s+/).filter(Boolean)) {
        const at = pair.indexOf("=");
        if (at < 0) fail("not KEY=value");
        script.env[pair.slice(0, at)] = pair.slice(at + 1);
      }
      continue;
    }
    let step;
    try {
      step = action(said);
    } catch (error) {
      fail(error.message);
    }
    const asked = script.steps.at(-1)?.kind === "request";
    if (asked !== (step.kind === "answer")) fail("`= STATUS` follows each request, and nothing else");
    script.steps.push({ line, text: said, ...step });
  }
  const last = script.steps.at(-1);
  if (!last) throw new Error("1: nothing happens here");
  if (last.kind === "request") throw new Error(`${last.line}: no answer is expected: ${last.text}`);
  return script;
}

/** The lines that say something, with those that continue them. */
function joined(text) {
  const lines = [];
  text.split("\n").forEach((line, index) => {
    const said = line.trim();
    if (!said || said.startsWith("#")) return;
    if (/^[ \t]/.test(line) && lines.length) lines.at(-1)[1] += ` ${said}`;
    else lines.push([index + 1, said]);
  });
  return lines;
}

function action(text) {
  const [first, rest] = word(text);
  switch (first) {
    case "set": {
      const [name, value] = word(rest);
      const times = /^("(?:[^"\\]|\\.)*")\s+(\d+)$/.exec(value);
      return { kind: "set", name, value: JSON.parse(times ? times[1] : value), times: times ? Number(times[2]) : 1 };
    }
    case "client":
      return connect(rest);
    case "disconnect":
      return { kind: "disconnect", client: rest };
    case ">":
    case ">?": {
      const [client, call] = word(rest);
      const [event, args] = word(call);
      return { kind: "emit", client, event, args: list(args), ack: first === ">?" };
    }
    case "<":
    case "<~": {
      const [client, seen] = word(rest);
      const [event, args] = word(seen);
      return { kind: "event", client, event, args: args ? list(args) : undefined, anyhow: first === "<~" };
    }
    case "<?":
      return { kind: "ack", args: list(rest) };
    case "=": {
      const [status, body] = word(rest);
      if (!/^[\dx]{3}$/.test(status)) throw new Error("not a status");
      return { kind: "answer", status, body: body ? JSON.parse(body) : undefined };
    }
    case "~":
      return { kind: "answerHeaders", pattern: JSON.parse(rest) };
    case "restart":
    case "kill":
      return { kind: first };
    default:
      if (!METHODS.includes(first)) throw new Error("not a step");
      return request(first, rest);
  }
}

function connect(rest) {
  const [client, place] = word(rest);
  const [namespace, after] = place.startsWith("/") ? word(place) : ["", place];
  const [query, shown] = after.startsWith("?") ? word(after.slice(1)) : ["", after];
  const [headers, tail] = headersOf(shown);
  const refusal = / refused (".*")$/.exec(` ${tail}`);
  const auth = refusal ? tail.slice(0, Math.max(0, refusal.index - 1)) : tail;
  return {
    kind: "connect",
    client,
    namespace,
    query,
    headers,
    auth: auth ? JSON.parse(auth) : undefined,
    refused: refusal ? JSON.parse(refusal[1]) : undefined,
  };
}

function request(method, rest) {
  const [path, after] = word(rest);
  const [headers, tail] = headersOf(after);
  const raw = tail.startsWith("raw ");
  const body = raw ? JSON.parse(tail.slice(4)) : tail ? JSON.parse(tail) : undefined;
  return { kind: "request", method, path, headers, raw, body };
}

/** `[Name: value; Name: value]`, if it stands there, and what follows. */
function headersOf(text) {
  if (!text.startsWith("[")) return [[], text];
  const end = text.indexOf("]");
  if (end < 0) throw new Error("no `]`");
  const pairs = [];
  for (const part of text.slice(1, end).split(";")) {
    const at = part.indexOf(":");
    if (at >= 0) pairs.push([part.slice(0, at).trim(), part.slice(at + 1).trim()]);
    // A parameter of the value before, such as a boundary.
    else if (pairs.length > 0) pairs.at(-1)[1] += `;${part}`;
    else throw new Error("not `Name: value`");
  }
  return [pairs, text.slice(end + 1).trim()];
}

function word(text) {
  const at = text.indexOf(" ");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at).trim()];
}

const list = (text) => JSON.parse(`[${text}]`);

const VARIABLE = /\$([a-z][A-Za-z0-9_]*)/g;
const WHOLE = /^\$([a-z][A-Za-z0-9_]*)$/;

/** A copy of `value` with every `$name` replaced; throws where one is not bound. */
function fill(value, vars) {
  if (typeof value === "string") {
    const whole = WHOLE.exec(value);
    return whole ? lookup(whole[1], vars) : fillText(value, vars);
  }
  if (Array.isArray(value)) return value.map((item) => fill(item, vars));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, vars)]));
  }
  return value;
}

function fillText(text, vars) {
  return text.replace(VARIABLE, (_, name) => {
    const value = lookup(name, vars);
    return typeof value === "string" ? value : JSON.stringify(value);
  });
}

function lookup(name, vars) {
  if (!vars.has(name)) throw new Error(`$${name} is not bound`);
  return vars.get(name);
}

const text = (test) => (got) => typeof got === "string" && test.test(got);
const CLASSES = {
  "*": () => true,
  "*string": (got) => typeof got === "string",
  "*number": (got) => typeof got === "number",
  "*bool": (got) => typeof got === "boolean",
  "*iso": text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  "*ustime": text(/^\d\d?\/\d\d?\/\d{4}, \d\d?:\d\d:\d\d[ \u202f][AP]M$/),
  "*id": text(/^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{24})$/i),
  "*jwt": text(/^[\w-]+\.[\w-]+\.[\w-]+$/),
};

/** Whether `got` is what `pattern` says; binds free variables. Throws where and how they differ. */
function match(pattern, got, vars, path = "") {
  const shown = (value) => JSON.stringify(value);
  const here = path || "the whole";
  const differ = () => {
    throw new Error(`${here}: expected ${shown(pattern)}, got ${shown(got)}`);
  };
  if (Array.isArray(pattern)) {
    if (!Array.isArray(got)) differ();
    const open = pattern.at(-1) === "...";
    const wanted = open ? pattern.slice(0, -1) : pattern;
    if (got.length < wanted.length || (!open && got.length > wanted.length)) {
      throw new Error(`${here}: expected ${wanted.length} elements, got ${got.length}: ${shown(got)}`);
    }
    wanted.forEach((want, i) => match(want, got[i], vars, `${path}[${i}]`));
  } else if (pattern && typeof pattern === "object") {
    if (!got || typeof got !== "object" || Array.isArray(got)) differ();
    for (const [key, want] of Object.entries(pattern)) {
      const below = `${path}.${key}`;
      const there = Object.hasOwn(got, key);
      if (want === "!absent") {
        if (there) throw new Error(`${below}: must be absent, got ${shown(got[key])}`);
      } else if (!there) throw new Error(`${below}: expected ${shown(want)}, is absent from ${shown(got)}`);
      else match(want, got[key], vars, below);
    }
  } else if (typeof pattern === "string") {
    const whole = WHOLE.exec(pattern)?.[1];
    if (whole && !vars.has(whole)) vars.set(whole, got);
    else if (whole) {
      const bound = vars.get(whole);
      if (!equal(bound, got)) throw new Error(`${here}: expected $${whole} = ${shown(bound)}, got ${shown(got)}`);
    } else if (pattern.startsWith("*")) {
      if (!Object.hasOwn(CLASSES, pattern)) throw new Error(`unknown matcher ${pattern}`);
      if (!CLASSES[pattern](got)) differ();
    } else if (got !== fillText(pattern, vars)) differ();
  } else if (pattern !== got) differ();
}

/** Equal as JSON, whatever the order of keys. */
function equal(a, b) {
  try {
    require("node:assert").deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

module.exports = { parse, fill, fillText, match };
