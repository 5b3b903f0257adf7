import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileObjects } from "@flotilla/runtime";
import type { ObjectStore } from "@flotilla/workflow";
import { expect, onTestFinished, test } from "vitest";

async function store() {
  const directory = await mkdtemp(join(tmpdir(), "flotilla-objects-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return { directory, objects: createFileObjects(directory) };
}

async function names(objects: ObjectStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of objects.list(prefix)) found.push(name);
  return found;
}

async function textOf(objects: ObjectStore, name: string) {
  const content = await objects.get(name);
  return content && Buffer.from(content).toString("utf8");
}

test("an object is had back as it was last put, and not at all once it is deleted", async () => {
  const { objects, directory } = await store();
  await objects.put("open/a/1.json", Buffer.from("one"));
  await objects.put("open/a/1.json", Buffer.from("two"));
  expect(await textOf(objects, "open/a/1.json")).toBe("two");
  expect(await readdir(join(directory, "archive", ".incoming"))).toEqual([]);
  await objects.delete("open/a/1.json");
  await objects.delete("open/a/1.json");
  expect(await objects.get("open/a/1.json")).toBeUndefined();
  expect(await names(objects, "")).toEqual([]);
});

test("a listing is in the order of the names, by bytes, and holds what begins with the prefix", async () => {
  const { objects } = await store();
  const all = ["ended/a/1", "open/a-b/1", "open/a/1", "open/a/2", "open/a.b/1", "open/B/1"];
  await Promise.all(all.map((name) => objects.put(name, Buffer.from(name))));
  expect(await names(objects, "")).toEqual(all.toSorted());
  expect(await names(objects, "open/a/")).toEqual(["open/a/1", "open/a/2"]);
  expect(await names(objects, "open/a")).toEqual(["open/a-b/1", "open/a.b/1", "open/a/1", "open/a/2"]);
  expect(await names(objects, "nothing/")).toEqual([]);
});

test.for(["../outside", "open/../../outside", "/etc/passwd", "open//a", "", ".incoming/a", "open/a\0b", "a/.hidden"])(
  "%j is no name",
  async (name) => {
    const { objects } = await store();
    await expect(objects.put(name, Buffer.from("x"))).rejects.toThrow("no name of an object");
    await expect(objects.get(name)).rejects.toThrow("no name of an object");
    await expect(objects.delete(name)).rejects.toThrow("no name of an object");
  },
);

test("objects are put and deleted in one folder at the same time", async () => {
  const { objects } = await store();
  const count = 40;
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      await objects.put(`open/w/${n}`, Buffer.from(String(n)));
      if (n % 2 === 0) await objects.delete(`open/w/${n}`);
    }),
  );
  expect(await names(objects, "open/w/")).toHaveLength(count / 2);
});
