// The one thing that tests ask of MongoDB themselves: to forget a database. Without TLS and passwords, as the stand-in is.
"use strict";

const net = require("node:net");

const OP_MSG = 2013;
const DEADLINE = 10_000;

/** Drops the database; where the server cannot be asked so, it stays. */
async function dropDatabase(uri, name) {
  const address = /^mongodb:\/\/([\w.-]+)(?::(\d+))?(?:\/|$)/.exec(uri);
  if (!address) return;
  const socket = net.connect(Number(address[2] ?? 27017), address[1]).setTimeout(DEADLINE, () => socket.destroy());
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  // The answer is not looked at; it says that the server is done.
  socket.once("data", () => socket.destroy());
  socket.write(message(name));
  await closed;
}

/** `{dropDatabase: 1, $db: name}` as a message of the wire protocol. */
function message(name) {
  const text = (value) => Buffer.from(`${value}\0`);
  const number = (value) => Buffer.from(Int32Array.of(value).buffer);
  const fields = [Buffer.of(0x10), text("dropDatabase"), number(1), Buffer.of(0x02), text("$db"), number(text(name).length), text(name), Buffer.of(0)];
  const body = Buffer.concat(fields);
  // Flags, then one section of kind 0: a document.
  const rest = Buffer.concat([number(0), Buffer.of(0), number(body.length + 4), body]);
  return Buffer.concat([number(rest.length + 16), number(1), number(0), number(OP_MSG), rest]);
}

module.exports = { dropDatabase };
