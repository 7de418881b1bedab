// Replays transcripts with the official socket.io-client:
// node run.js [--client 4.8,4.0,3.1] [--transport polling,websocket,upgrade] [--base /path] [--nodes 2] [FILE …]
// The folder of a file names the contract, which is mounted at `/`, or at the base: every path and namespace is then taken below it.
// With several nodes each file is played on so many servers that share a MongoDB (HELPLINE_TEST_MONGODB_URI) and a Redis, behind nginx:
// clients are led to them in turn, requests too, and `restart` and `kill` are done to all of them.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { parse, fill, fillText, match } = require("./lang");
const { Cluster } = require("./cluster");
const { Server, ROOT } = require("./server");

const DEADLINE = 5_000;
/** How long a signal may take from one node to another, in milliseconds. */
const CROSSING = 25;
const CLIENTS = { "4.8": "sio48", "4.0": "sio40", "3.1": "sio31" };
/** What shows how each node counts for itself, with what it counts: of several nodes everybody is led to the first there. */
const ON_ONE = {
  "operators/retries.txt": "messages in a minute",
  "support/rate.txt": "messages in a minute",
  "widget/guests.txt": "messages in a minute",
  "widget/rate.txt": "messages in a minute",
};
const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** The promise's value, or an error once the deadline has passed. */
function within(promise, what, ms = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A socket with a queue of what it received. */
class Client {
  constructor(io, port, transports, { namespace, query, headers, auth }) {
    const options = { transports, auth, reconnection: false, forceNew: true, timeout: DEADLINE };
    if (query) options.query = Object.fromEntries(new URLSearchParams(query));
    if (headers.length) options.extraHeaders = Object.fromEntries(headers);
    this.transports = transports;
    this.queue = [];
    this.waiting = undefined;
    this.socket = io(`http://127.0.0.1:${port}${wanted.base}${namespace}`, options);
    this.socket.onAny((name, ...args) => {
      this.queue.push({ name, args });
      this.waiting?.();
    });
  }

  /** Resolves with nothing once connected, or with the message of the refusal. */
  connected() {
    const settled = new Promise((resolve) => {
      this.socket.once("connect", () => resolve(undefined));
      this.socket.once("connect_error", (error) => resolve(String(error.message)));
    });
    return within(settled, "the server answers no handshake in time");
  }

  async event() {
    if (!this.queue.length) {
      const more = new Promise((resolve) => {
        this.waiting = resolve;
      });
      await within(more, "nothing was received in time");
      this.waiting = undefined;
    }
    return this.queue.shift();
  }

  ask(event, args) {
    const answered = new Promise((resolve) => this.socket.emit(event, ...args, (...answer) => resolve(answer)));
    return within(answered, "no acknowledgement in time");
  }

  async nothingLeft(name) {
    await this.ask("transcript-barrier", []);
    const [first] = this.queue;
    if (first) {
      const count = this.queue.length;
      throw new Error(`${name} received ${count} that nobody expected: ${first.name} ${JSON.stringify(first.args)}`);
    }
  }

  /** Where an upgrade is asked for, it takes place. */
  async upgraded() {
    const { engine } = this.socket.io;
    if (this.transports.length < 2 || engine.transport.name === "websocket") return;
    await within(new Promise((resolve) => engine.once("upgrade", resolve)), "the connection was not upgraded to a websocket");
  }

  close() {
    this.socket.disconnect();
    this.socket.io.engine?.close();
  }
}

class Play {
  constructor(io, transports, server, pins) {
    Object.assign(this, { io, transports, server, pins, vars: new Map(), clients: new Map(), asked: [], got: undefined });
    this.turns = { client: 0, request: 0 };
  }

  async run(script) {
    for (const step of script.steps) {
      try {
        await this.crossing(step);
        await this[step.kind](step);
      } catch (error) {
        throw new Error(`${step.line}: ${step.text}\n    ${error.message}`);
      }
    }
    try {
      await this.allWasExpected();
    } catch (error) {
      throw new Error(`at the end\n    ${error.message}`);
    }
  }

  /**
   * Where somebody else does something now, what was told before has reached all nodes: people are slower than that, and a signal that comes
   * with the next step is one that nobody waits for.
   */
  async crossing({ kind, client }) {
    if (wanted.nodes < 2 || !["connect", "disconnect", "emit", "request"].includes(kind)) return;
    const actor = client ?? kind;
    if (this.actor !== undefined && this.actor !== actor) await new Promise((resolve) => setTimeout(resolve, CROSSING));
    this.actor = actor;
  }

  close() {
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
  }

  client(name) {
    const client = this.clients.get(name);
    if (!client) throw new Error("no such client");
    return client;
  }

  /** The header that leads to the next node in turn, where there are several. */
  next(kind) {
    const turn = this.turns[kind];
    this.turns[kind] += 1;
    return this.pins.length ? [this.pins[turn % this.pins.length]] : [];
  }

  set({ name, value, times }) {
    const filled = fill(value, this.vars);
    this.vars.set(name, typeof filled === "string" ? filled.repeat(times) : filled);
  }

  async connect({ client: name, namespace, query, headers, auth, refused }) {
    if (this.clients.has(name)) throw new Error("this client is connected already");
    const filled = headers.map(([header, value]) => [header, fillText(value, this.vars)]);
    const shown = { namespace, query: fillText(query, this.vars), headers: [...filled, ...this.next("client")], auth: fill(auth, this.vars) };
    const client = new Client(this.io, this.server.port, this.transports, shown);
    this.clients.set(name, client);
    const message = await client.connected();
    if (refused === undefined && message !== undefined) throw new Error(`not connected: ${message}`);
    if (refused !== undefined) {
      client.close();
      this.clients.delete(name);
      if (message === undefined) throw new Error(`expected a refusal with ${JSON.stringify(refused)}, got a connection`);
      match(refused, message, this.vars);
    }
  }

  async disconnect({ client: name }) {
    const client = this.client(name);
    await client.nothingLeft(name);
    client.close();
    this.clients.delete(name);
  }

  emit({ client: name, event, args, ack }) {
    const client = this.client(name);
    const filled = fill(args, this.vars);
    if (!ack) return void client.socket.emit(event, ...filled);
    const asked = client.ask(event, filled);
    asked.catch(() => {});
    this.asked.push(asked);
  }

  async event({ client: name, event, args, anyhow }) {
    const client = this.client(name);
    const passed = [];
    let got = await client.event();
    for (; anyhow && got.name !== event; got = await client.event()) passed.push(got);
    client.queue.unshift(...passed);
    if (got.name !== event) throw new Error(`expected ${event}, got ${got.name} ${JSON.stringify(got.args)}`);
    if (args) match(args, got.args, this.vars);
  }

  async ack({ args }) {
    if (!this.asked.length) throw new Error("no acknowledgement is owed");
    match(args, await this.asked.shift(), this.vars);
  }

  async request({ method, path: template, headers, raw, body }) {
    const filled = Object.fromEntries([...headers.map(([name, value]) => [name, fillText(value, this.vars)]), ...this.next("request")]);
    const content = fill(body, this.vars);
    const text = content === undefined || raw ? content : JSON.stringify(content);
    if (body !== undefined && !raw) filled["Content-Type"] ??= "application/json";
    const target = below(fillText(template, this.vars));
    this.got = await within(send(this.server.port, method, target, filled, text), "no answer in time");
  }

  answer({ status, body }) {
    const { status: got, body: said } = this.got;
    const alike = [...status].every((digit, i) => digit === "x" || digit === String(got)[i]);
    if (!alike) throw new Error(`expected status ${status}, got ${got}: ${JSON.stringify(said)}`);
    if (body !== undefined) match(body, said, this.vars);
  }

  answerHeaders({ pattern }) {
    if (!this.got) throw new Error("no answer");
    match(pattern, this.got.headers, this.vars);
  }

  async restart() {
    await this.allWasExpected();
    await this.server.restart();
    this.close();
  }

  async kill() {
    await this.allWasExpected();
    await this.server.kill();
    this.close();
  }

  async allWasExpected() {
    if (this.asked.length) throw new Error(`${this.asked.length} acknowledgements were never read`);
    for (const [name, client] of this.clients) {
      await client.nothingLeft(name);
      await client.upgraded();
    }
  }
}

/** A path of the contract below its base; the server's own paths stay where they are. */
function below(target) {
  const own = ["/socket.io", "/healthz", "/readyz", "/docs"].some((prefix) => target.startsWith(prefix));
  // What the server has named is below it already.
  const below = wanted.base && target.startsWith(`${wanted.base}/`);
  return own || below ? target : wanted.base + target;
}

/** Sends a request over a connection of its own; the body of the answer is a text where it is not JSON. */
function send(port, method, target, headers, text) {
  return new Promise((resolve, reject) => {
    const length = text === undefined ? {} : { "Content-Length": Buffer.byteLength(text) };
    const options = { host: "127.0.0.1", port, method, path: target, headers: { ...headers, ...length }, agent: false };
    const request = http.request(options, (answer) => {
      let said = "";
      answer.setEncoding("utf8").on("data", (part) => (said += part));
      answer.on("end", () => {
        let body = said;
        try {
          body = JSON.parse(said);
        } catch {
          // A text, then.
        }
        resolve({ status: answer.statusCode, headers: answer.headers, body });
      });
    });
    request.on("error", reject);
    request.end(text);
  });
}

/** Where the contracts are served for the files of a folder: its own alone, or all of them. */
function mounts(folder) {
  const others = ["operators", "rooms", "widget"].map((contract) => `${contract}@${wanted.base}/${contract}`);
  return folder === "crossing" ? [`support@${wanted.base || "/"}`, ...others].join() : `${folder}@${wanted.base || "/"}`;
}

/** Plays one file with one client over one transport; answers what went wrong, or nothing. */
async function playFile(file, io, transports) {
  let server, play;
  try {
    const script = parse(fs.readFileSync(file, "utf8"));
    const env = { MOUNTS: mounts(path.basename(path.dirname(file))), ...script.env };
    server = await (wanted.nodes > 1 ? Cluster.start(wanted.nodes, env) : Server.start(env));
    const { pins = [] } = server;
    play = new Play(io, transports, server, onOne(file) ? pins.slice(0, 1) : pins);
    await play.run(script);
    return undefined;
  } catch (error) {
    const log = server ? `\n--- the end of the server's log\n${server.tail(15)}` : "";
    return `${path.relative(ROOT, file)}:${error.message}${log}`;
  } finally {
    play?.close();
    await server?.close();
  }
}

function argumentsOf(args) {
  const wanted = { client: Object.keys(CLIENTS), transport: Object.keys(TRANSPORTS), base: "", nodes: 1, files: [] };
  const known = { client: CLIENTS, transport: TRANSPORTS };
  for (let i = 0; i < args.length; i += 1) {
    const option = /^--(client|transport)$/.exec(args[i])?.[1];
    if (args[i] === "--base") wanted.base = args[(i += 1)] ?? "";
    else if (args[i] === "--nodes") wanted.nodes = Number(args[(i += 1)]);
    else if (!option) wanted.files.push(path.resolve(args[i]));
    else wanted[option] = (args[(i += 1)] ?? "").split(",");
    for (const value of option ? wanted[option] : []) {
      if (!Object.hasOwn(known[option], value)) throw new Error(`no such ${option}: ${value}`);
    }
  }
  if (!Number.isInteger(wanted.nodes) || wanted.nodes < 1) throw new Error("--nodes is how many");
  if (!wanted.files.length) {
    const all = path.join(ROOT, "tests/transcripts");
    wanted.files = fs.readdirSync(all, { recursive: true }).filter((name) => name.endsWith(".txt")).sort().map((name) => path.join(all, name));
  }
  return wanted;
}

/** What each node counts for itself in this file, if so. */
const onOne = (file) => ON_ONE[path.relative(path.join(ROOT, "tests/transcripts"), file)];

const wanted = argumentsOf(process.argv.slice(2));

async function main() {
  for (const file of wanted.nodes > 1 ? wanted.files.filter(onOne) : []) {
    console.log(`${path.relative(ROOT, file)}: all on one of the nodes, because each counts for itself: ${onOne(file)}`);
  }
  let passed = 0;
  let failed = 0;
  for (const version of wanted.client) {
    const { io } = require(CLIENTS[version]);
    for (const transport of wanted.transport) {
      const files = [...wanted.files];
      const worker = async () => {
        for (let file = files.shift(); file; file = files.shift()) {
          const why = await playFile(file, io, TRANSPORTS[transport]);
          if (why === undefined) passed += 1;
          else {
            failed += 1;
            console.log(`FAILED socket.io-client ${version} over ${transport}: ${why}\n`);
          }
        }
      };
      await Promise.all(Array.from({ length: os.cpus().length }, worker));
      console.log(`socket.io-client ${version} over ${transport}: done`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed || !passed ? 1 : 0;
}

main();
