// The real server as a child process, on a free port, with data of its own.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { spawn } = require("node:child_process");
const { once } = require("node:events");

const ROOT = path.resolve(__dirname, "../..");
const LISTENING = /listening on http:\/\/127\.0\.0\.1:(\d+)/;
const START = 30_000;
const STOP = 30_000;

const binary = () =>
  process.env.HELPLINE_BIN || path.join(process.env.CARGO_TARGET_DIR || path.join(ROOT, "target"), "debug/helpline");

class Server {
  /** Starts a server in development mode with these variables and empty data. */
  static async start(env) {
    const server = new Server();
    server.env = env;
    server.data = fs.mkdtempSync(path.join(os.tmpdir(), "helpline-js-"));
    server.port = 0;
    server.log = "";
    try {
      await server.#spawn();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** Stops it as a deployment does, and starts it again on the same data and port. */
  async restart() {
    await this.stop();
    await this.again();
  }

  /** Stops it as a deployment does. */
  async stop() {
    const [code, signal] = await this.#end("SIGTERM");
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal}\n${this.log}`);
  }

  /** Starts it on the data and port it had. */
  async again() {
    await this.#spawn();
  }

  /** Kills it with SIGKILL. */
  async crash() {
    await this.#end("SIGKILL");
  }

  /** The same, and starts it again on the same data and port. */
  async kill() {
    await this.crash();
    await this.again();
  }

  /** The last lines that it logged. */
  tail(lines) {
    return this.log.split("\n").slice(-lines).join("\n");
  }

  /** Ends it and removes its data. */
  async close() {
    await this.#end("SIGKILL");
    fs.rmSync(this.data, { recursive: true, force: true });
  }

  /** The process sees no variable and no `.env` file of the developer's. */
  async #spawn() {
    const base = { PATH: process.env.PATH, NODE_ENV: "development", DATA_DIR: this.data, SOCKET_IO_CLIENT_DIR: path.join(ROOT, "static/node_modules/socket.io-client/dist") };
    const env = { ...base, PORT: String(this.port), ...this.env };
    this.child = spawn(binary(), [], { env, cwd: this.data, stdio: ["ignore", "ignore", "pipe"] });
    this.ended = once(this.child, "exit");
    // Where the process cannot be started at all there is no exit, and `#listening` reports the error.
    this.ended.catch(() => {});
    this.port = await this.#listening();
  }

  #listening() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the server does not listen\n${this.log}`)), START);
      const done = (settle, value) => {
        clearTimeout(timer);
        settle(value);
      };
      let said = "";
      this.child.stderr.setEncoding("utf8").on("data", (text) => {
        this.log += text;
        said += text;
        const found = LISTENING.exec(said);
        if (found && said.indexOf("\n", found.index) >= 0) done(resolve, Number(found[1]));
      });
      this.child.once("error", (error) => done(reject, new Error(`${binary()}: ${error.message}`)));
      this.child.once("close", () => done(reject, new Error(`the server ended before it listened\n${this.log}`)));
    });
  }

  /** Signals the process and waits for its end, as `[code, signal]`. */
  async #end(signal) {
    const { child } = this;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return [child?.exitCode, child?.signalCode];
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP);
    child.kill(signal);
    const result = await this.ended;
    clearTimeout(timer);
    return result;
  }
}

module.exports = { Server, ROOT };
