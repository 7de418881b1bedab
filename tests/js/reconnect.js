// A restart under a conversation, with the official client as pages use it: it reconnects by itself, and nobody joins again.
// node reconnect.js [--client 4.8,4.0,3.1] [--nodes 2] [CONTRACT …]
// With two nodes each page is on one of them; the nodes are stopped or killed one after the other, and the pages go to the one that is left.
//
// Each page here keeps what it would show, by the rules of the real frontends: which event replaces its list, which one appends, what it drops.
// Afterwards both pages must show the whole history as REST has it, each message once and in order.
"use strict";

const { Cluster } = require("./cluster");
const { Server } = require("./server");

const CLIENTS = { "4.8": "sio48", "4.0": "sio40", "3.1": "sio31" };
const TRANSPORTS = [["websocket"], ["polling"]];
const DEADLINE = 20_000;
const KEY = "the-key-of-the-tests";
/** How many servers there are. */
let nodes = 1;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until the condition holds. */
async function until(holds, what) {
  const end = Date.now() + DEADLINE;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not in time: ${what()}`);
    await wait(10);
  }
}

async function call(server, method, path, body, headers = {}) {
  const options = { method, headers: { "Content-Type": "application/json", ...headers } };
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, body ? { ...options, body: JSON.stringify(body) } : options);
  if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}`);
  return answer.json();
}

/** A socket of a page, and the texts that the page shows. */
class Page {
  constructor(io, server, transports, options) {
    this.shown = [];
    // Pages are on one node and the other in turn.
    server.pages = (server.pages ?? 0) + 1;
    const pin = server.pins?.[(server.pages - 1) % server.pins.length];
    const extraHeaders = pin && Object.fromEntries([pin]);
    this.socket = io(`http://127.0.0.1:${server.port}/`, { transports, extraHeaders, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
    this.connections = 0;
    this.socket.on("connect", () => (this.connections += 1));
  }

  on(event, work) {
    this.socket.on(event, work);
    return this;
  }

  async connected(times) {
    await until(() => this.connections >= times, () => `connection ${times}, there were ${this.connections}`);
  }

  async shows(text) {
    await until(() => this.shown.includes(text), () => `"${text}" is not shown: ${JSON.stringify(this.shown)}`);
  }
}

const support = async (io, server, transports) => {
  const key = { "X-API-Key": KEY };
  const token = async (userId, userType) => (await call(server, "POST", "/api/auth/token", { userId, userType }, key)).data.token;
  const { sessionId, agentId } = (await call(server, "POST", "/api/chat/start-session", { userId: "u1" }, key)).data;
  const page = async (id, type) => {
    const it = new Page(io, server, transports, { auth: { token: await token(id, type) } });
    it.on("session_joined", ({ messages }) => (it.shown = messages.map((m) => m.message)));
    it.on("new_message", ({ message }) => it.shown.push(message));
    it.open = () => it.socket.emit("join_session", { sessionId, userId: id, userType: type });
    it.say = (message) => it.socket.emit("send_message", { sessionId, message });
    return it;
  };
  const history = async () => (await call(server, "GET", `/api/chat/messages/${sessionId}`, undefined, key)).data.messages.map((m) => m.message);
  return { pages: [await page("u1", "user"), await page(agentId, "agent")], history };
};

const widget = async (io, server, transports) => {
  const { id } = await call(server, "POST", "/api/sessions", { userId: "user_1" });
  const history = async () => (await call(server, "GET", `/api/chat/messages/${id}`)).map((m) => m.content);
  const page = (senderType) => {
    const it = new Page(io, server, transports, {});
    it.on("new_message", ({ content }) => it.shown.push(content));
    it.open = () => it.socket.emit("join_session", id);
    it.say = (content) => {
      it.socket.emit("send_message", { sessionId: id, senderType, content });
      it.socket.emit("typing", { sessionId: id, userType: senderType, isTyping: false });
    };
    return it;
  };
  return { pages: [page("user"), page("admin")], history };
};

const operators = async (io, server, transports) => {
  const userId = "user_1795163582007_x7k2p9";
  const operatorId = "operator_1795163582007_q3";
  let sessionId;
  const visitor = new Page(io, server, transports, {});
  const replace = (page) => ({ messages }) => {
    if (messages.length) page.shown = messages.filter((m) => m.senderType !== "system").map((m) => m.content);
  };
  visitor.on("chat-session-created", (created) => (sessionId = created.sessionId));
  visitor.on("message-history", replace(visitor));
  visitor.on("message-received", ({ senderType, senderId, content }) => {
    if (senderType !== "user" || senderId !== userId) visitor.shown.push(content);
  });
  visitor.open = () => visitor.socket.emit("user-join-chat", { userId });
  visitor.say = (content) => {
    visitor.shown.push(content);
    visitor.socket.emit("user-send-message", { content, sessionId });
  };
  const operator = new Page(io, server, transports, { query: { type: "operator", operatorId } });
  operator.on("message-history", replace(operator));
  operator.on("message-received", (message) => {
    if (message.sessionId === sessionId) operator.shown.push(message.content);
  });
  operator.open = async () => {
    await until(() => sessionId, () => "a session");
    operator.socket.emit("operator-status-change", { operatorId, status: "online" });
    operator.socket.emit("operator-join-session", { operatorId, sessionId });
  };
  operator.say = (content) => operator.socket.emit("operator-send-message", { operatorId, sessionId, content });
  const history = async () => {
    const { data } = await call(server, "GET", `/api/chat/messages/${sessionId}?limit=100`);
    return data.messages.filter((m) => m.senderType !== "system").map((m) => m.content);
  };
  return { pages: [visitor, operator], history };
};

const CONTRACTS = { support, operators, widget };

/** Both talk, in turns; whoever speaks sees his own words before the other answers. */
async function talk([first, second], texts) {
  for (const [at, text] of texts.entries()) {
    const speaker = at % 2 ? second : first;
    speaker.say(text);
    await speaker.shows(text);
    // A page that shows its own words at once does not know that they have arrived.
    await wait(100);
  }
}

/** Ends the node of a page, which then goes to the other; in the second round the other one, when the first is there again. */
async function leave(nodes, round, end, pages) {
  if (round > 0) await nodes[0].again();
  const leaving = pages.slice(0, round + 1);
  // How far pages are is told once a second.
  await wait(1_500);
  const before = leaving.map((page) => page.connections);
  await (end === "kill" ? nodes[round].crash() : nodes[round].stop());
  for (const [at, page] of leaving.entries()) await page.connected(before[at] + 1);
}

async function play(name, io, transports, end) {
  const env = { MOUNTS: `${name}@/`, API_KEY: KEY };
  const server = await (nodes > 1 ? Cluster.start(nodes, { ...env, PRESENCE_LEASE_SECONDS: "1", SHUTDOWN_SECONDS: "5" }) : Server.start(env));
  let pages = [];
  try {
    const scene = await CONTRACTS[name](io, server, transports);
    pages = scene.pages;
    for (const page of pages) {
      await page.connected(1);
      await page.open();
      await wait(300);
    }
    const said = ["1", "2", "3", "4"];
    await talk(pages, said);
    // Who polls goes home with the next poll when its node is there again, in the middle of what it says then.
    const rounds = nodes > 1 && transports[0] === "polling" ? 1 : 2;
    for (let round = 0; round < rounds; round += 1) {
      if (nodes > 1) await leave(server.nodes, round, end, pages);
      else {
        await server[end]();
        for (const page of pages) await page.connected(round + 2);
      }
      const more = ["a", "b", "c", "d"].map((letter) => `${letter}${round}`);
      said.push(...more);
      await talk(pages, more);
    }
    for (const page of pages) await page.shows(said.at(-1));
    // Time for what should not come.
    await wait(300);
    const wanted = JSON.stringify(said);
    for (const [who, list] of [["the history", await scene.history()], ["the visitor", pages[0].shown], ["who answers", pages[1].shown]]) {
      if (JSON.stringify(list) !== wanted) throw new Error(`${who}: ${JSON.stringify(list)} instead of ${wanted}`);
    }
  } catch (error) {
    throw new Error(`${error.message}\n--- the end of the server's log\n${server.tail(10)}`);
  } finally {
    for (const page of pages) page.socket.disconnect();
    await server.close();
  }
}

async function main() {
  const args = process.argv.slice(2);
  const at = args.indexOf("--client");
  const versions = at < 0 ? Object.keys(CLIENTS) : args.splice(at, 2)[1].split(",");
  const nodesAt = args.indexOf("--nodes");
  if (nodesAt >= 0) nodes = Number(args.splice(nodesAt, 2)[1]);
  const names = args.length ? args : Object.keys(CONTRACTS);
  let [passed, failed] = [0, 0];
  for (const version of versions) {
    const { io } = require(CLIENTS[version]);
    for (const name of names) {
      const plays = TRANSPORTS.flatMap((transports) => ["restart", "kill"].map((end) => ({ transports, end })));
      await Promise.all(plays.map(async ({ transports, end }) => {
        try {
          await play(name, io, transports, end);
          passed += 1;
        } catch (error) {
          failed += 1;
          console.log(`FAILED ${name}, ${end}, socket.io-client ${version} over ${transports}: ${error.message}\n`);
        }
      }));
    }
  }
  console.log(`reconnects: ${passed} passed, ${failed} failed`);
  process.exitCode = failed || !passed ? 1 : 0;
}

main();
