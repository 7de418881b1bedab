// The cheapest room relay on Node"s Socket.IO: no credentials, no store, no checks. A reference for scripts/bench.sh, never to be served to anybody.
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer();
const io = new Server(server, { transports: ["websocket"] });

io.on("connection", (socket) => {
  socket.on("join_session", (call, ack) => {
    socket.join(call.sessionId);
    ack?.({ ok: true });
  });
  socket.on("send_message", (call, ack) => {
    io.to(call.sessionId).emit("new_message", call);
    ack?.({ ok: true });
  });
});

server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
