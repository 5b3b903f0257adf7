import { createServer } from "node:http";

// Takes whatever is sent to it: what it costs to keep spans is not what is measured.
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => response.end());
});
server.listen(0, "127.0.0.1", () => process.send?.({ kind: "ready", address: server.address() }));
process.on("disconnect", () => process.exit(0));
