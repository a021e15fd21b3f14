// Socket.IO that relays each message of a Redis channel to the room of that name: `node server.js <redis socket>`.
// Prints its port. WebSocket only and without compression, as the server it is compared with.
const { createServer } = require("http");
const { createClient } = require("redis");
const { Server } = require("socket.io");

const http = createServer((request, response) => response.end("ok"));
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });
const redis = createClient({ socket: { path: process.argv[2] } });
const rooms = new Set();

io.on("connection", (socket) => {
  socket.on("subscribe", async (topic) => {
    socket.join(topic);
    if (!rooms.has(topic)) {
      rooms.add(topic);
      await redis.subscribe(topic, (message) => io.to(topic).emit("event", JSON.parse(message)));
    }
    socket.emit("subscribed", topic);
  });
});

redis.connect().then(() => http.listen(0, "127.0.0.1", 4096, () => console.log(http.address().port)));
