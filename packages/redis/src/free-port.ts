import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** A port of 127.0.0.1 that nobody listened on a moment ago: whoever binds it must be ready to find it taken. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("a TCP listener without a port");
  return address.port;
}

/** As `freePort`, for a cluster node: its bus is 10,000 above, and both lie below the ports that systems hand out. */
export async function freeClusterPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 22_000);
    if ((await isFreePort(port)) && (await isFreePort(port + 10_000))) return port;
  }
}

/** Whether nobody listens on that port of 127.0.0.1. */
export async function isFreePort(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
