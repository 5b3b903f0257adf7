import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { OciStorage } from "@flotilla/oci";
import { createLogger, type OciSettings } from "@flotilla/runtime";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { folder } from "./rig.ts";

const Ready = z.object({ kind: z.literal("ready"), url: z.url() });
const limitMegabytes = 64;
const pieceBytes = 64 * 1024;
const pieceCount = (100 * 1024 * 1024) / pieceBytes;

setFlagsFromString("--expose-gc");
// A context that is made now has what the flag exposes.
const collectGarbage = runInNewContext("gc") as () => void;

/** What is held at most while the work is done, above what was before; what waits for the garbage collector is not. */
async function heldMemory(work: () => Promise<void>): Promise<number> {
  const held = () => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  let most = before;
  const sample = () => (most = Math.max(most, held()));
  const sampling = setInterval(sample, 20);
  try {
    await work();
    // Work that never leaves the event loop to anybody is sampled here only.
    sample();
  } finally {
    clearInterval(sampling);
  }
  return (most - before) / 1024 / 1024;
}

/** 100 MB in pieces, each of them another one. */
async function* pieces(): AsyncGenerator<Uint8Array> {
  const piece = Buffer.alloc(pieceBytes, 7);
  for (let number = 0; number < pieceCount; number++) {
    piece.writeUInt32BE(number);
    yield piece;
  }
}

/** The local server in a process of its own: what it needs is not ours. */
async function storage(): Promise<OciStorage> {
  const directory = await folder();
  const main = fileURLToPath(import.meta.resolve("@flotilla/oci/local-main"));
  const child = fork(main, [], { env: { ...process.env, FLOTILLA_DATA_DIR: directory, LOG_LEVEL: "silent" } });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const [message] = await once(child, "message");
  const { url } = Ready.parse(message);
  const settings: OciSettings = {
    credentials: { kind: "local", file: join(directory, "oci", "config"), profile: "DEFAULT" },
    compartmentId: "local",
    bucket: "agent-checkpoints",
    endpoints: { objectStorage: url },
  };
  const storage = new OciStorage(settings, createLogger({ role: "test", level: "silent" }));
  await storage.start();
  onTestFinished(() => storage.stop());
  return storage;
}

test("of 100 MB that go up to Object Storage and down, less than 64 MB are held at any time", async () => {
  const { blobs } = await storage();
  await blobs.put(Buffer.from("what is loaded once is loaded now"));
  const hash = createHash("sha256");
  let sha256 = "";
  const up = await heldMemory(async () => {
    ({ sha256 } = await blobs.put(pieces()));
  });
  const down = await heldMemory(async () => {
    for await (const chunk of (await blobs.get(sha256)) ?? []) hash.update(chunk);
  });
  expect(hash.digest("hex")).toBe(sha256);
  console.log(`${up.toFixed(0)} MB held while it went up, ${down.toFixed(0)} MB while it came down`);
  expect(up).toBeLessThan(limitMegabytes);
  expect(down).toBeLessThan(limitMegabytes);
});

test("who holds all of it is found out", async () => {
  const held: Uint8Array[] = [];
  const extra = await heldMemory(async () => {
    for await (const piece of pieces()) held.push(Uint8Array.from(piece));
  });
  expect(held).toHaveLength(pieceCount);
  expect(extra).toBeGreaterThan(limitMegabytes);
});
