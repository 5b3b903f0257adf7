import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../rig.ts";
import { adapters, placeIn } from "./adapters.ts";

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
});
