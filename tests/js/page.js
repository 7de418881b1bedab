// The try-out page in a real browser: start, talk, a restart of the server with a message typed meanwhile, end.
// SHOTS names a folder for screenshots of every step.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { Server } = require("./server.js");

const CHROMIUM = process.env.CHROMIUM || "/usr/bin/chromium";
const QUIET = ["gpu", "quic", "background-networking", "component-update", "sync"].map((what) => `--disable-${what}`);
const WAIT = 20_000;
const AWAY = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection to .* failed/;
const totals = { passed: 0, failed: 0 };

/** One page on one server, and what can be read from it. */
class Visit {
  constructor(page, server) {
    Object.assign(this, { page, server, complaints: [] });
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (said) => said.type() === "error" && !AWAY.test(said.text()) && this.complaints.push(said.text()));
  }
  lines(who) {
    const read = (items) => items.map((item) => [item.className, item.dataset.state ?? "", item.textContent].filter(Boolean).join(" "));
    return this.page.$$eval(`#${who} .log li:not(.note)`, read);
  }
  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent);
  }
  async say(who, text) {
    await this.page.fill(`#${who} input`, text);
    await this.page.press(`#${who} input`, "Enter");
  }
  /** Waits until `read` gives `expected`. */
  async until(what, read, expected) {
    const wanted = JSON.stringify(expected);
    const deadline = Date.now() + WAIT;
    let found;
    do {
      found = JSON.stringify(await read());
      if (found === wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } while (Date.now() < deadline);
    throw new Error(`${what}: expected ${wanted}, found ${found}`);
  }
  badge(who, expected) {
    return this.until(`${who}'s badge`, () => this.text(`#${who} small`), expected);
  }
  log(who, expected) {
    return this.until(`${who}'s messages`, () => this.lines(who), expected);
  }
  disabled(who, expected) {
    return this.until(`${who}'s input disabled`, () => this.page.$eval(`#${who} input`, (input) => input.disabled), expected);
  }
  async start() {
    await this.page.click("#start");
    // Until then the panes show the session before.
    await this.until("a start under way", () => this.page.$eval("#start", (button) => button.disabled), false);
    await this.badge("visitor", "active");
    await this.badge("agent", "active");
  }
}

const tests = {
  async "both sides talk, HTML is text, and typing shows until the message"(v) {
    await v.disabled("visitor", true);
    await v.start();
    await v.page.type("#visitor input", "hel");
    await v.until("typing", () => v.text("#agent .typing"), "Visitor is typing…");
    await v.say("visitor", "<b>hello</b>");
    await v.log("agent", ["theirs <b>hello</b>"]);
    await v.log("visitor", ["mine <b>hello</b>"]);
    await v.until("typing", () => v.text("#agent .typing"), "");
    await v.say("agent", "yes?");
    await v.log("visitor", ["mine <b>hello</b>", "theirs yes?"]);
  },
  async "what is said while the server is away arrives once, in order"(v) {
    await v.server.stop();
    await v.badge("visitor", "disconnected");
    await v.badge("agent", "disconnected");
    await v.say("visitor", "first");
    await v.say("visitor", "second");
    await v.log("visitor", ["mine <b>hello</b>", "theirs yes?", "mine sending first", "mine sending second"]);
    await v.server.again();
    await v.log("agent", ["theirs <b>hello</b>", "mine yes?", "theirs first", "theirs second"]);
    await v.log("visitor", ["mine <b>hello</b>", "theirs yes?", "mine first", "mine second"]);
    await v.badge("agent", "active");
    await v.until("the problem", () => v.text("#problem"), "");
  },
  async "the end closes both panes"(v) {
    await v.page.click("#end");
    for (const who of ["visitor", "agent"]) {
      await v.badge(who, "ended");
      await v.disabled(who, true);
    }
  },
  async "starting again and leaving give the agents' places back"(v) {
    for (let n = 0; n < 8; n++) await v.start();
    await v.log("agent", []);
    await v.page.reload();
    const open = async () => (await (await fetch(`http://127.0.0.1:${v.server.port}${v.base}/api/health`)).json()).data.services.sessions.active;
    await v.until("open sessions", open, 0);
  },
  async "nothing is wrong on the console"(v) {
    await v.until("complaints", async () => v.complaints, []);
  },
};

/** All tests, one after the other, on a page below `base`. */
async function run(browser, base) {
  const server = await Server.start({ MOUNTS: `support@${base}/` });
  try {
    const visit = new Visit(await browser.newPage(), server);
    visit.base = base;
    await visit.page.goto(`http://127.0.0.1:${server.port}${base}/`);
    for (const [n, [name, test]] of Object.entries(tests).entries()) {
      const failure = await test(visit).then(() => null, (error) => error);
      totals[failure ? "failed" : "passed"] += 1;
      console.log(`${failure ? "FAILED" : "ok"}  page at ${base || "/"}: ${name}${failure ? `\n  ${failure.message}` : ""}`);
      if (process.env.SHOTS) await visit.page.screenshot({ path: path.join(process.env.SHOTS, `${base.slice(1)}${n}.png`), fullPage: true });
    }
    await visit.page.close();
  } finally {
    await server.close();
  }
}

async function main() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "helpline-page-"));
  const options = { executablePath: CHROMIUM, args: ["--headless", "--no-sandbox", "--no-first-run", ...QUIET] };
  const browser = await chromium.launchPersistentContext(profile, options);
  try {
    for (const base of ["", "/help/desk"]) await run(browser, base);
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1;
}

main().catch((error) => {
  console.log(`${totals.passed} passed, ${totals.failed + 1} failed\n${error.stack}`);
  process.exitCode = 1;
});
