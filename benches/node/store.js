// What the server of document 001 does for a message, on Node"s Socket.IO and the official driver of MongoDB: find the session, check the sender,
// insert the message, update the session, emit, acknowledge. Without Mongoose, which the original has, so it is cheaper than that.
// A reference for scripts/bench.sh. Needs MONGODB_URI; MONGODB_DB names the database.
"use strict";

const http = require("node:http");
const { MongoClient, ObjectId } = require("mongodb");
const { Server } = require("socket.io");

const TEXT_LIMIT = 1000;

async function main() {
  const client = await new MongoClient(process.env.MONGODB_URI).connect();
  const database = client.db(process.env.MONGODB_DB ?? "helpline_reference");
  const store = { sessions: database.collection("sessions"), messages: database.collection("messages") };
  await store.messages.createIndex({ sessionId: 1, timestamp: 1 });

  const server = http.createServer();
  const io = new Server(server, { transports: ["websocket"] });
  io.on("connection", (socket) => {
    socket.on("join_session", answered((call) => join(store, socket, call)));
    socket.on("send_message", answered((call) => send(store, io, socket, call)));
  });
  server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
}

// A handler whose result, or failure, is the acknowledgement.
function answered(handler) {
  return async (call, ack) => {
    try {
      ack?.({ ok: true, ...(await handler(call)) });
    } catch (error) {
      ack?.({ ok: false, message: error.message });
    }
  };
}

// Whoever comes first makes the session: the generator has no REST call for it here.
async function join({ sessions }, socket, { sessionId, userId, userType }) {
  const now = new Date();
  const field = userType === "agent" ? "agentId" : "userId";
  const change = { $set: { [field]: userId, updatedAt: now }, $setOnInsert: { status: "active", createdAt: now } };
  await sessions.updateOne({ _id: sessionId }, change, { upsert: true });
  socket.data = { sessionId, userId, userType };
  socket.join(sessionId);
}

async function send({ sessions, messages }, io, socket, { sessionId, message }) {
  const { userId, userType } = socket.data;
  if (typeof message !== "string" || message.length === 0 || message.length > TEXT_LIMIT) {
    throw new Error("Invalid message data");
  }
  const session = await sessions.findOne({ _id: sessionId });
  if (!session || socket.data.sessionId !== sessionId || (session.userId !== userId && session.agentId !== userId)) {
    throw new Error("Not authorized for this session");
  }
  const timestamp = new Date();
  const _id = new ObjectId();
  await messages.insertOne({ _id, sessionId, senderId: userId, senderType: userType, message, timestamp });
  await sessions.updateOne({ _id: sessionId }, { $set: { lastMessage: message, updatedAt: timestamp } });
  io.to(sessionId).emit("new_message", { id: _id.toHexString(), sessionId, senderId: userId, senderType: userType, message, timestamp });
  return { id: _id.toHexString() };
}

main();
