import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../rig.ts";
import { adapters, placeIn } from "./adapters.ts";

/** How much of the process is in memory at most while the work is done, above what it is before. */
async function extraMemory(work: () => Promise<void>): Promise<number> {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let most = before;
  const sampling = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
  try {
    await work();
  } finally {
    clearInterval(sampling);
  }
  return (most - before) / 1024 / 1024;
}

const pieceBytes = 64 * 1024;

/** That many pieces, each of them another one. */
async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let number = 0; number < count; number++) {
    const piece = Buffer.alloc(pieceBytes, number % 251);
    piece.writeUInt32BE(number);
    yield piece;
  }
}

describe.each(adapters)("$name: large", (adapter) => {
  test("a blob of several parts comes back whole, and again when it is put again", async () => {
    const blobs = await adapter.blobs();
    const content = randomBytes(12 * 1024 * 1024);
    async function* pieces() {
      for (let at = 0; at < content.byteLength; at += 700_000) yield content.subarray(at, at + 700_000);
    }
    const { sha256, bytes } = await blobs.put(pieces());
    expect(bytes).toBe(content.byteLength);
    expect(await blobs.put(content)).toEqual({ sha256, bytes });
    expect((await bytesOf(await blobs.get(sha256))).equals(content)).toBe(true);
  });

  test("an object of several parts comes back whole", async () => {
    const archive = await adapter.archive();
    const name = `${placeIn(archive)}/large`;
    const content = randomBytes(11 * 1024 * 1024);
    expect((await archive.put(name, content, { kind: "absent" })).kind).toBe("stored");
    expect((await bytesOf((await archive.get(name))?.content)).equals(content)).toBe(true);
    expect(await archive.put(name, content, { kind: "absent" })).toEqual({ kind: "conflict" });
  });

  test("100 MB go up and down within 64 MB of memory", async () => {
    const blobs = await adapter.blobs();
    await blobs.put(pieces(400));
    const count = (100 * 1024 * 1024) / pieceBytes;
    const hash = createHash("sha256");
    let sha256 = "";
    const up = await extraMemory(async () => {
      ({ sha256 } = await blobs.put(pieces(count)));
    });
    const down = await extraMemory(async () => {
      for await (const chunk of (await blobs.get(sha256)) ?? []) hash.update(chunk);
    });
    expect(hash.digest("hex")).toBe(sha256);
    console.log(`${adapter.name}: ${up.toFixed(0)} MB more while it went up, ${down.toFixed(0)} MB while it came down`);
    expect(up).toBeLessThan(64);
    expect(down).toBeLessThan(64);
  });
});
