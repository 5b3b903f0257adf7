import { resolve } from "node:path";
import { findServer } from "./find-server.ts";

const server = await findServer({
  root: resolve(".flotilla"),
  fetch: true,
  say: (line) => process.stderr.write(`${line}\n`),
});
if (server) process.stdout.write(`redis: ${server.binary} ${server.version}\n`);
else process.exitCode = 1;
