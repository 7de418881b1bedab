// The table of scripts/bench.sh: medians over the rounds, each bar beside its reference of the same run. Reads the lines of JSON that the load
// generator printed; ends with status 1 where a bar was missed, or a message was.
"use strict";

const fs = require("node:fs");

const found = fs.readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));

/** The median of a figure over the rounds; undefined where it was not measured. */
function median(what, server, figure) {
  const values = found.filter((one) => one.what === what && one.server === server).map(figure).filter(Number.isFinite);
  values.sort((a, b) => a - b);
  return values.length ? (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2 : undefined;
}

const cpu = (server) => median("closed", server, (one) => one.server_cpu_us);
const speed = (server) => median("closed", server, (one) => one.per_second);
const p99 = (server, which) => median("open", server, (one) => one[which].p99);
const memory = (server, what = "idle") => median(what, server, (one) => one.rss_kib_each);
const start = (server) => median("start", server, (one) => one.ms.median);

const NAMES = {
  "relay": "bare socketioxide relay",
  "node-relay": "Node relay",
  "node-mongodb": "Node + MongoDB",
  "embedded": "Helpline, embedded",
  "mongodb": "Helpline, MongoDB",
  "two-nodes": "Helpline, two nodes, MongoDB, Redis",
};

const shown = (value, unit, digits = 1) => (value === undefined ? "–" : `${value.toFixed(digits)} ${unit}`);
const times = (value) => shown(value, "×", 2);
const ratio = (a, b) => (a === undefined || b === undefined ? undefined : a / b);

/** A bar: what is measured, beside what, and what it may be. */
function bar(name, text, measured, reference, value, limit, unit) {
  const verdict = value === undefined ? "not measured" : value <= limit ? "ok" : "FAILED";
  return [name, text, measured, reference, unit === "×" ? times(value) : shown(value, unit), `≤ ${limit} ${unit}`, verdict];
}

function bars() {
  const beside = (server, text) => `${text} ${shown(cpu(server), "µs")}`;
  const opened = (server, limit, text) =>
    ["delivery_ms", "ack_ms"].map((which) => {
      const to = which === "ack_ms" ? "ack" : "recipient";
      const reference = `Node + MongoDB at 300/s: ${shown(p99("node-mongodb", which), "ms")}`;
      return bar("P3", `1,000/s, ${text}, to ${to}`, `p50 ${shown(median("open", server, (one) => one[which].p50), "ms")}`, reference, p99(server, which), limit, "ms");
    });
  return [
    bar("P1", "CPU a message, embedded", shown(cpu("embedded"), "µs"), beside("relay", "bare relay"), ratio(cpu("embedded"), cpu("relay")), 2, "×"),
    bar("P2", "CPU a message, MongoDB", shown(cpu("mongodb"), "µs"), beside("relay", "bare relay"), ratio(cpu("mongodb"), cpu("relay")), 3, "×"),
    ...opened("embedded", 10, "embedded"),
    ...opened("mongodb", 10, "MongoDB"),
    ...opened("two-nodes", 20, "two nodes"),
    bar("P4", "memory of an idle socket", shown(memory("embedded"), "KiB"), `bare relay ${shown(memory("relay"), "KiB")}, Node ${shown(memory("node-relay"), "KiB")}`, memory("embedded"), 20, "KiB"),
    bar("P6", "CPU a message, two nodes", shown(cpu("two-nodes"), "µs"), beside("mongodb", "one node"), ratio(cpu("two-nodes"), cpu("mongodb")), 1.7, "×"),
    bar("P7", "start", shown(start("embedded"), "ms"), `Node + MongoDB ${shown(start("node-mongodb"), "ms")}`, start("embedded"), 100, "ms"),
  ];
}

/** How long the half of all messages took at most, 99 of 100, and 999 of 1,000. */
function spread(of, which) {
  const [half, most, nearly] = ["p50", "p99", "p999"].map((part) => of((one) => one[which][part]));
  return half === undefined ? "–" : `${half.toFixed(1)} / ${most.toFixed(1)} / ${shown(nearly, "ms")}`;
}

/** All servers under the closed loop, where P1, P2 and P6 come from. */
function loops() {
  return Object.keys(NAMES).map((server) => {
    const of = (figure) => median("closed", server, figure);
    return [
      NAMES[server], shown(of((one) => one.server_cpu_us), "µs"), times(ratio(cpu(server), cpu("relay"))), shown(of((one) => one.store_cpu_us), "µs"),
      shown(of((one) => one.own_cpu_us), "µs"), shown(speed(server), "/s", 0),
      spread(of, "delivery_ms"), spread(of, "ack_ms"),
      shown(of((one) => one.rss_kib / 1024), "MiB", 0),
    ];
  });
}

/** What a socket that says nothing takes: P4's, and one that has joined no session. */
function sockets() {
  const servers = ["relay", "node-relay", "embedded"];
  return servers.map((server) => [NAMES[server], shown(memory(server), "KiB"), shown(memory(server, "connected"), "KiB")]);
}

function print(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    console.log(row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  }
}

const all = bars();
const rounds = Math.max(...found.map((one) => one.round));
print([["Bar", "What", "Measured", "Reference", "Result", "Limit", ""], ...all]);
console.log(`\nClosed loop, 200 sessions, one message in flight in each; medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}:\n`);
print([["Server", "CPU a message", "× relay", "Store's CPU", "Generator's CPU", "Messages", "To recipient: p50 / p99 / p99.9", "To ack", "Memory"], ...loops()]);
console.log("\nMemory of a socket that says nothing:\n");
print([["Server", "Joined", "Only connected"], ...sockets()]);

const sum = (figure) => found.reduce((total, one) => total + (one[figure] ?? 0), 0);
const wrong = found.filter((one) => one.wrong.length > 0);
console.log(`\n${sum("messages")} messages measured and all checked: ${sum("lost")} lost, ${sum("refused")} refused, ${sum("unheard")} not heard within 10 s, ${sum("doubled")} doubled, ${sum("disordered")} out of order.`);
for (const one of wrong) {
  console.log(`WRONG: ${one.server}, ${one.what}, round ${one.round}: ${one.wrong.join("; ")}`);
}
process.exitCode = wrong.length > 0 || all.some((row) => row.at(-1) === "FAILED") ? 1 : 0;
