import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fetchServer } from "../src/fetch-server.ts";
import { findServer, spawnRedis } from "../src/index.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "flotilla-fetch-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Why nothing can be fetched here, or undefined. */
async function obstacle(): Promise<string | undefined> {
  if (process.env["FLOTILLA_FETCH"] === "0") return "FLOTILLA_FETCH=0";
  if (!existsSync("/usr/bin/apt-get")) return "no apt-get";
  const installed = await findServer({ root: join(tmpdir(), "flotilla-nowhere"), fetch: false, say: () => {} });
  return installed && `${installed.binary} is installed`;
}

const reason = await obstacle();

test.skipIf(reason)(
  `two processes that fetch at once both get a server that runs${reason ? ` (skipped: ${reason})` : ""}`,
  async () => {
    const said: string[] = [];
    const both = await Promise.all([1, 2].map(() => fetchServer(root, (line) => said.push(line))));
    expect(both[0], said.join("\n")).toBeDefined();
    expect(both[1]).toEqual(both[0]);
    expect(await readdir(root)).toEqual(["redis"]);

    const server = both[0] ?? expect.fail("no server");
    const redis = await spawnRedis(server, {
      dir: join(root, "data"),
      port: 0,
      appendonly: true,
      appendfsync: "always",
    });
    const client = new Redis(redis.url);
    expect(await client.set("key", "value")).toBe("OK");
    client.disconnect();
    await redis.stop();
  },
);
