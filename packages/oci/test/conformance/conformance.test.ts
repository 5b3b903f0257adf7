import { createHash, randomBytes } from "node:crypto";
import { until } from "@flotilla/testkit/until";
import type { ReceivedMessage, StreamReader } from "@flotilla/workflow";
import { describe, expect, onTestFinished, test } from "vitest";
import { allOf, bytesOf } from "../rig.ts";
import { adapters, placeIn, type StreamUnderTest, unique } from "./adapters.ts";

function message(key: string, value: string) {
  return { key, value: Buffer.from(value) };
}

function words(messages: readonly ReceivedMessage[]): string[] {
  return messages.map(({ key, value }) => `${key}=${Buffer.from(value)}`);
}

/** A member of a group that is new. */
function member(stream: StreamUnderTest, group: string, instance = "one", timeoutMs = 30_000): StreamReader {
  const reader = stream.reader({ group, instance, from: "oldest", timeoutMs });
  onTestFinished(() => reader.close());
  return reader;
}

/** Receives until that many messages are here. */
async function receive(reader: StreamReader, count: number): Promise<ReceivedMessage[]> {
  const all: ReceivedMessage[] = [];
  await until(
    async () => {
      all.push(...(await reader.receive()));
      return all.length >= count;
    },
    { what: `${count} messages` },
  );
  return all;
}

describe.each(adapters)("$name: blobs", (adapter) => {
  test("what was put is had back under its hash, and nothing is there under another one", async () => {
    const blobs = await adapter.blobs();
    const content = randomBytes(1000);
    const sha256 = createHash("sha256").update(content).digest("hex");
    expect(await blobs.put(content)).toEqual({ sha256, bytes: 1000 });
    expect(await bytesOf(await blobs.get(sha256))).toEqual(content);
    expect(await blobs.get("0".repeat(64))).toBeUndefined();
    expect(await blobs.get("../../etc/passwd")).toBeUndefined();
  });

  test("the same bytes, in one piece and in several, at the same time, are one blob", async () => {
    const blobs = await adapter.blobs();
    async function* pieces() {
      yield Buffer.from("hel");
      yield Buffer.from("lo");
    }
    const puts = await Promise.all([blobs.put(pieces()), blobs.put(Buffer.from("hello")), blobs.put(pieces())]);
    expect(new Set(puts.map((put) => put.sha256)).size).toBe(1);
    expect((await bytesOf(await blobs.get(puts[0].sha256))).toString()).toBe("hello");
  });

  test("nothing at all is a blob too", async () => {
    const blobs = await adapter.blobs();
    const { sha256, bytes } = await blobs.put(new Uint8Array());
    expect(bytes).toBe(0);
    expect(await bytesOf(await blobs.get(sha256))).toHaveLength(0);
  });

  test("a stream that breaks off, and one that is aborted, are no blobs", async () => {
    const blobs = await adapter.blobs();
    const abort = new AbortController();
    async function* broken() {
      yield Buffer.from("half");
      throw new Error("the source broke");
    }
    async function* aborted() {
      yield Buffer.from("half");
      abort.abort(new Error("enough"));
      yield Buffer.from("more");
    }
    await expect(blobs.put(broken())).rejects.toThrow("the source broke");
    await expect(blobs.put(aborted(), abort.signal)).rejects.toThrow("enough");
    expect(await blobs.get(createHash("sha256").update("half").digest("hex"))).toBeUndefined();
  });
});

describe.each(adapters)("$name: archive", (adapter) => {
  test("an object is had back by its name until it is deleted", async () => {
    const archive = await adapter.archive();
    const place = placeIn(archive);
    expect(await archive.get(`${place}/1`)).toBeUndefined();
    const put = await archive.put(`${place}/1`, Buffer.from("first"));
    const found = await archive.get(`${place}/1`);
    expect(put).toEqual({ kind: "stored", tag: found?.tag });
    expect(found).toMatchObject({ name: `${place}/1`, bytes: 5 });
    expect((await bytesOf(found?.content)).toString()).toBe("first");
    expect(await archive.delete(`${place}/1`)).toBe(true);
    expect(await archive.delete(`${place}/1`)).toBe(false);
    expect(await archive.get(`${place}/1`)).toBeUndefined();
  });

  test("a put replaces, and a condition that does not hold changes nothing", async () => {
    const archive = await adapter.archive();
    const name = `${placeIn(archive)}/1`;
    const first = await archive.put(name, Buffer.from("first"), { kind: "absent" });
    expect(first.kind).toBe("stored");
    expect(await archive.put(name, Buffer.from("again"), { kind: "absent" })).toEqual({ kind: "conflict" });
    const tag = first.kind === "stored" ? first.tag : "";
    const second = await archive.put(name, Buffer.from("second"), { kind: "match", tag });
    expect(second.kind).toBe("stored");
    expect(await archive.put(name, Buffer.from("third"), { kind: "match", tag })).toEqual({ kind: "conflict" });
    const nowhere = await archive.put(`${name}/none`, Buffer.from("x"), { kind: "match", tag });
    expect(nowhere).toEqual({ kind: "conflict" });
    expect((await bytesOf((await archive.get(name))?.content)).toString()).toBe("second");
  });

  test("of many that put if there is none, one does", async () => {
    const archive = await adapter.archive();
    const name = `${placeIn(archive)}/1`;
    const puts = await Promise.all(
      Array.from({ length: 8 }, (_, number) => archive.put(name, Buffer.from(`writer ${number}`), { kind: "absent" })),
    );
    expect(puts.filter(({ kind }) => kind === "stored")).toHaveLength(1);
  });

  test("a listing has all names of a prefix in order, from where it is told, over its pages", async () => {
    const archive = await adapter.archive();
    const place = placeIn(archive);
    const names = Array.from({ length: 20 }, (_, number) => `${place}/${String(number).padStart(3, "0")}`);
    await Promise.all(names.toReversed().map((name) => archive.put(name, Buffer.from(name))));
    await archive.put(`${place}-beside`, Buffer.from("x"));
    onTestFinished(async () => void (await archive.delete(`${place}-beside`)));
    const listed = await allOf(archive.list(`${place}/`));
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect(new Set(listed.map(({ tag }) => tag)).size).toBe(20);
    expect(listed[0]?.bytes).toBe(names[0]?.length);
    const later = await allOf(archive.list(`${place}/`, { after: `${place}/017` }));
    expect(later.map(({ name }) => name)).toEqual(names.slice(18));
    expect(await allOf(archive.list(`${place}/none/`))).toEqual([]);
  });

  test("what is not a name is refused", async () => {
    const archive = await adapter.archive();
    const wrong = ["", "/a", "a/", "a//b", "../a", "a/..", "a/./b", "a b", "a\nb", "ä", "a?b", "x".repeat(1001)];
    for (const name of wrong) {
      await expect(archive.put(name, Buffer.from("x")), name).rejects.toThrow(TypeError);
      await expect(archive.get(name), name).rejects.toThrow(TypeError);
      await expect(archive.delete(name), name).rejects.toThrow(TypeError);
    }
  });
});

describe.each(adapters)("$name: streams", (adapter) => {
  test("messages are received in the order of their key, each under a place of its own", async () => {
    const stream = await adapter.stream();
    const [a, b] = [unique("a"), unique("b")];
    await stream.writer.append([message(a, "1"), message(b, "1"), message(a, "2")]);
    await stream.writer.append([message(a, "3"), message(b, "2")]);
    const received = (await receive(member(stream, unique("group")), 5)).filter(({ key }) => key === a || key === b);
    expect(words(received).filter((word) => word.startsWith(a))).toEqual([`${a}=1`, `${a}=2`, `${a}=3`]);
    expect(words(received).filter((word) => word.startsWith(b))).toEqual([`${b}=1`, `${b}=2`]);
    expect(new Set(received.map(({ partition, offset }) => `${partition}.${offset}`)).size).toBe(5);
  });

  test("what is committed does not come again, what is not comes again, under the same place", async () => {
    const stream = await adapter.stream();
    const group = unique("group");
    const first = member(stream, group);
    await stream.writer.append([message("a", "done")]);
    await receive(first, 1);
    await first.commit();
    await stream.writer.append([message("a", "undone")]);
    const [undone] = await receive(first, 1);
    await first.close();
    const [again] = await receive(member(stream, group), 1);
    expect(again).toEqual(undone);
    expect(words([again].filter((one) => one !== undefined))).toEqual(["a=undone"]);
  });

  test("groups do not know each other", async () => {
    const stream = await adapter.stream();
    const one = member(stream, unique("group"));
    const other = member(stream, unique("group"));
    await stream.writer.append([message("a", "1")]);
    await receive(one, 1);
    await one.commit();
    expect(words(await receive(other, 1))).toEqual(["a=1"]);
  });

  test("of two members of a group, one gets a message; a silent one loses what it did not commit", async () => {
    const stream = await adapter.stream();
    const group = unique("group");
    const [silent, other] = [member(stream, group, "silent", 1000), member(stream, group, "other", 60_000)];
    await stream.writer.append([message("a", "1")]);
    await receive(silent, 1);
    await silent.close();
    expect(await other.receive()).toEqual([]);
    expect(words(await receive(other, 1))).toEqual(["a=1"]);
    await other.commit();
    await stream.writer.append([message("a", "2")]);
    expect(words(await receive(other, 1))).toEqual(["a=2"]);
  });

  test("a group that begins at the newest does not get what was there before", async () => {
    const stream = await adapter.stream();
    await stream.writer.append([message("a", "before")]);
    const reader = stream.reader({ group: unique("group"), instance: "one", from: "newest" });
    onTestFinished(() => reader.close());
    expect(await reader.receive()).toEqual([]);
    await stream.writer.append([message("a", "after")]);
    expect(words(await receive(reader, 1))).toEqual(["a=after"]);
  });

  test("many messages, and large ones, are split as the stream wants it and all arrive", async () => {
    const stream = await adapter.stream();
    const large = randomBytes(600_000);
    const messages = Array.from({ length: 3 }, (_, number) => ({ key: `k${number}`, value: large }));
    await stream.writer.append([...messages, message("last", "1")]);
    const received = await receive(member(stream, unique("group")), 4);
    expect(received.filter(({ value }) => Buffer.from(value).equals(large))).toHaveLength(3);
    expect(new Set(received.map(({ key }) => key))).toEqual(new Set(["k0", "k1", "k2", "last"]));
  });

  test("a message that is too large is refused, and nothing of its batch is appended", async () => {
    const stream = await adapter.stream();
    const batch = [message("a", "1"), { key: "a", value: new Uint8Array(1_000_001) }];
    await expect(stream.writer.append(batch)).rejects.toThrow(RangeError);
    await stream.writer.append([]);
    expect(await member(stream, unique("group")).receive()).toEqual([]);
  });

  test("an abort is heard by all", async () => {
    const stream = await adapter.stream();
    const aborted = AbortSignal.abort(new Error("enough"));
    await expect(stream.writer.append([message("a", "1")], aborted)).rejects.toThrow("enough");
    await expect(member(stream, unique("group")).receive(aborted)).rejects.toThrow("enough");
  });
});
