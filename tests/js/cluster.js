// Several servers on one MongoDB and one Redis behind one nginx, to be played against as if they were one.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { dropDatabase } = require("./mongo");
const { Server, ROOT } = require("./server");

const START = 10_000;
/** How often a port is tried that somebody else may have taken in the meantime. */
const TRIES = 5;

class Cluster {
  /** Starts so many servers in development mode with these variables, on an empty database and an empty Redis. */
  static async start(count, env) {
    const uri = process.env.HELPLINE_TEST_MONGODB_URI;
    if (!uri) throw new Error("several nodes need HELPLINE_TEST_MONGODB_URI: scripts/services.sh up");
    const cluster = new Cluster();
    cluster.folder = fs.mkdtempSync(path.join(os.tmpdir(), "helpline-js-cluster-"));
    cluster.database = { uri, name: `helpline_js_${crypto.randomUUID().replaceAll("-", "")}` };
    cluster.nodes = [];
    try {
      cluster.redis = await startRedis(cluster.folder);
      const shared = {
        MONGODB_URI: uri,
        MONGODB_DB: cluster.database.name,
        REDIS_URL: `redis://127.0.0.1:${cluster.redis.port}`,
        JWT_SECRET: crypto.randomBytes(32).toString("hex"),
        ...env,
      };
      const started = await Promise.allSettled(Array.from({ length: count }, () => Server.start(shared)));
      cluster.nodes = started.filter((node) => node.value).map((node) => node.value);
      const failed = started.find((node) => node.reason);
      if (failed) throw failed.reason;
      cluster.nginx = await startNginx(cluster.folder, cluster.nodes.map((node) => node.port));
      cluster.port = cluster.nginx.port;
      cluster.pins = await pinsTo(cluster.port, cluster.nodes);
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** The last lines that each server logged, and nginx. */
  tail(lines) {
    const said = [...this.nodes.entries()].map(([n, node]) => `--- node ${n}\n${node.tail(lines)}`);
    const errors = fs.readFileSync(path.join(this.folder, "error.log"), "utf8").trim();
    return said.concat(errors ? `--- nginx\n${errors.split("\n").slice(-5).join("\n")}` : []).join("\n");
  }

  /** Stops all nodes as a deployment does, and starts them again. */
  async restart() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await Promise.all(this.nodes.map((node) => node.again()));
  }

  /** Kills all nodes with SIGKILL and starts them again. */
  async kill() {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  /** Ends everything and removes its data. */
  async close() {
    await Promise.all(this.nodes.map((node) => node.close()));
    await this.nginx?.end();
    await this.redis?.end();
    fs.rmSync(this.folder, { recursive: true, force: true });
    await dropDatabase(this.database.uri, this.database.name);
  }
}

/** A process beside the servers, which listens on a port that was free. */
class Part {
  /** Starts it with the arguments for a port, and waits until it takes connections there. */
  static async start(command, argumentsFor) {
    let part;
    for (let tries = 0; tries < TRIES; tries += 1) {
      part = new Part();
      part.port = await freePort();
      part.child = spawn(command, argumentsFor(part.port), { stdio: ["ignore", "pipe", "pipe"] });
      part.said = "";
      for (const stream of [part.child.stdout, part.child.stderr]) stream.setEncoding("utf8").on("data", (text) => (part.said += text));
      part.child.once("error", (error) => (part.said += error.message));
      part.ended = new Promise((resolve) => part.child.once("exit", resolve).once("error", resolve));
      if (await part.#listens()) return part;
      await part.end();
    }
    throw new Error(`${command} does not start: ${part.said}`);
  }

  async end() {
    if (!this.child.pid || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await this.ended;
  }

  async #listens() {
    let over = false;
    this.ended.then(() => (over = true));
    for (const late = Date.now() + START; !over && Date.now() < late; ) {
      if (await connects(this.port)) return !over;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return false;
  }
}

function startRedis(folder) {
  const options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir", folder];
  return Part.start("redis-server", (port) => ["--port", String(port), ...options]);
}

/** An nginx with our template before these ports. It adds no forwarding header, so that those who call are as trusted as without it. */
function startNginx(folder, ports) {
  const template = fs.readFileSync(path.join(ROOT, "deploy/nginx.conf"), "utf8");
  // No node is ever left out: all of them are restarted at once, and have to be there for the next step.
  const servers = ports.map((port) => `server 127.0.0.1:${port} max_fails=0;`).join("\n    ");
  const filled = template
    .replace(/server node1:5000 .*\n\s*server node2:5000 .*/, servers)
    .replace("$proxy_add_x_forwarded_for", "$http_x_forwarded_for")
    .replace(/^ *add_header Set-Cookie.*$/m, "$&\n        add_header X-Answered-By $upstream_addr always;");
  fs.copyFileSync(path.join(ROOT, "scripts/nginx-alone.conf"), path.join(folder, "nginx.conf"));
  return Part.start("nginx", (port) => {
    fs.writeFileSync(path.join(folder, "helpline.conf"), filled.replace("listen 80;", `listen 127.0.0.1:${port};`));
    return ["-p", folder, "-c", "nginx.conf", "-e", "error.log"];
  });
}

/** For each node the header with which nginx hands a request to it: cookies are tried until all nodes have answered. */
async function pinsTo(port, nodes) {
  const pins = new Map();
  for (let n = 0; n < 256 && pins.size < nodes.length; n += 1) {
    const Cookie = `helpline_route=${n.toString(16).padStart(2, "0")}`;
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { Cookie } });
    const node = nodes.findIndex((one) => answer.headers.get("x-answered-by") === `127.0.0.1:${one.port}`);
    if (node < 0) throw new Error(`none of the nodes answers through nginx: ${answer.status}`);
    if (!pins.has(node)) pins.set(node, ["Cookie", Cookie]);
  }
  if (pins.size < nodes.length) throw new Error("no cookie leads to some node");
  return nodes.map((_, node) => pins.get(node));
}

async function freePort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false)).once("connect", () => socket.destroy());
  });
}

module.exports = { Cluster };
