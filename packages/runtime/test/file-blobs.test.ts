import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createFileBlobs } from "@flotilla/runtime";
import { StoreUnavailableError } from "@flotilla/workflow";
import { expect, onTestFinished, test } from "vitest";

async function store() {
  const directory = await mkdtemp(join(tmpdir(), "flotilla-blobs-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return { directory, blobs: createFileBlobs(directory) };
}

function textOf(content: AsyncIterable<Uint8Array> | undefined) {
  return content && text(content);
}

test("what was put is had back under its hash, and lies where its name says", async () => {
  const { directory, blobs } = await store();
  const sha256 = createHash("sha256").update("hello").digest("hex");
  expect(await blobs.put(Buffer.from("hello"))).toEqual({ sha256, bytes: 5 });
  expect(await textOf(await blobs.get(sha256))).toBe("hello");
  expect(await readFile(join(directory, "blobs", sha256.slice(0, 2), sha256.slice(2)), "utf8")).toBe("hello");
});

test("putting the same bytes again, streamed and at the same time, is one blob", async () => {
  const { directory, blobs } = await store();
  async function* chunks() {
    yield Buffer.from("hel");
    yield Buffer.from("lo");
  }
  const puts = await Promise.all([blobs.put(chunks()), blobs.put(Buffer.from("hello")), blobs.put(chunks())]);
  expect(new Set(puts.map((put) => put.sha256)).size).toBe(1);
  expect(await readdir(join(directory, "blobs", "incoming"))).toEqual([]);
});

test("a stream that breaks off leaves no blob and no unfinished file", async () => {
  const { directory, blobs } = await store();
  async function* broken() {
    yield Buffer.from("half");
    throw new Error("the source broke");
  }
  await expect(blobs.put(broken())).rejects.toThrow("the source broke");
  expect(await readdir(join(directory, "blobs"))).toEqual(["incoming"]);
  expect(await readdir(join(directory, "blobs", "incoming"))).toEqual([]);
});

test.each(["ENOSPC", "EDQUOT"])("%s, a disk without room, is an outage of the store", async (code) => {
  const { directory, blobs } = await store();
  async function* tooMuch() {
    yield Buffer.from("half");
    throw Object.assign(new Error("no room"), { code });
  }
  await expect(blobs.put(tooMuch())).rejects.toThrow(StoreUnavailableError);
  expect(await readdir(join(directory, "blobs", "incoming"))).toEqual([]);
});

test("an aborted put rejects with the reason", async () => {
  const { blobs } = await store();
  const abort = new AbortController();
  async function* endless() {
    for (;;) {
      yield Buffer.alloc(10);
      abort.abort(new Error("enough"));
    }
  }
  await expect(blobs.put(endless(), abort.signal)).rejects.toThrow("enough");
});

test("an unknown hash, and a name that is none, are not found", async () => {
  const { blobs } = await store();
  expect(await blobs.get("0".repeat(64))).toBeUndefined();
  expect(await blobs.get("../../../../etc/passwd")).toBeUndefined();
});

test("a stream is asked for more only when what it gave is written, and comes back in pieces", async () => {
  const { directory, blobs } = await store();
  const incoming = join(directory, "blobs", "incoming");
  const chunk = Buffer.alloc(1 << 20, 7);
  async function* large() {
    for (let given = 0; given < 16; given++) {
      const [file = ""] = await readdir(incoming);
      expect((await stat(join(incoming, file))).size).toBe(given * chunk.byteLength);
      yield chunk;
    }
  }
  const { sha256, bytes } = await blobs.put(large());
  let read = 0;
  for await (const part of (await blobs.get(sha256)) ?? []) {
    expect(part.byteLength).toBeLessThan(chunk.byteLength);
    read += part.byteLength;
  }
  expect(read).toBe(bytes);
});
