import { createServer } from "node:net";
import { inspect } from "node:util";
import {
  attachSession,
  createRedisCommandExecutor,
  RedisServerState,
  SocketConnectionTransport,
} from "js-redis-server/core";

// usage: memory-main.ts PORT
//
// Built from the library's parts: its own listener takes every interface without a password,
// and leaves Nagle's algorithm on.

const state = new RedisServerState();
const executor = createRedisCommandExecutor();
const logger = { error: (...parts: unknown[]) => void process.stderr.write(`${inspect(parts)}\n`) };

createServer({ keepAlive: true, noDelay: true }, (socket) => {
  attachSession(new SocketConnectionTransport(socket), {
    state,
    executor,
    logger,
    clientAddress: `${socket.remoteAddress}:${socket.remotePort}`,
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
