import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeRecords } from "../../src/archive/archive.ts";
import { type ArchiveRecord, decodeRecord, encodeRecord, placeOf } from "../../src/archive/record.ts";

const id = `wf_00_${"a".repeat(26)}`;

function record(
  kind: ArchiveRecord["kind"],
  from: number,
  to: number,
  more: Partial<ArchiveRecord> = {},
): ArchiveRecord {
  const incarnation = more.incarnation ?? 1;
  const lines = Array.from({ length: to - from + 1 }, (_, n): [number, number, string] => [
    from + n,
    1000 + n,
    `${incarnation}:${from + n}`,
  ]);
  const rest = { format: 1 as const, labels: kind === "checkpoint" ? ["interval"] : [], workflowId: id };
  return {
    ...rest,
    kind,
    incarnation,
    from,
    to,
    at: to,
    fields: { tip: String(to) },
    lines,
    journals: {},
    outputs: {},
    ...more,
  };
}

function texts(records: readonly ArchiveRecord[]): string[] | undefined {
  return mergeRecords(id, records, [])?.lines.map(({ text }) => text);
}

const counted = (count: number, incarnation = 1) => Array.from({ length: count }, (_, n) => `${incarnation}:${n + 1}`);

test.for(["tail", "checkpoint", "end"] as const)(
  "a %s is read back as it was, and its name says what it is",
  async (kind) => {
    const written = record(kind, kind === "tail" ? 3 : 1, 5, { journals: { a: { one: "{}" } }, outputs: { a: "=1" } });
    const { name, content } = await encodeRecord(written);
    expect(await decodeRecord(name, content)).toEqual(written);
    expect(placeOf(name)).toEqual({ kind, incarnation: 1, to: 5 });
  },
);

test("whatever byte is changed, and wherever it is cut, an object is not read", async () => {
  const { name, content } = await encodeRecord(record("checkpoint", 1, 4));
  await fc.assert(
    fc.asyncProperty(fc.nat(content.length - 1), fc.integer({ min: 1, max: 255 }), async (place, change) => {
      const changed = Uint8Array.from(content);
      changed[place] = (changed[place] ?? 0) ^ change;
      await expect(decodeRecord(name, changed)).rejects.toThrow("not those that were written");
      await expect(decodeRecord(name, content.slice(0, place))).rejects.toThrow("not those that were written");
    }),
  );
});

test("an object under the name of another workflow is not read", async () => {
  const { name, content } = await encodeRecord(record("tail", 1, 2));
  await expect(decodeRecord(name.replace("aaa", "bbb"), content)).rejects.toThrow("name of another");
});

test("names that no record has are no places", () => {
  for (const name of ["open/x/0001.00000001.json", `open/${id}/readme.txt`, `else/${id}/0001.00000001.x`, ""]) {
    expect(placeOf(name)).toBeUndefined();
  }
});

test("whichever objects are there, in whatever order, the history is the longest one that they tell without a gap", () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 19 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      cuts,
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 3 }),
      fc.infiniteStream(fc.boolean()),
      (at, to, kept) => {
        const ends = [...at.toSorted((a, b) => a - b), 20];
        const tails = ends.map((end, n) => record("tail", (ends[n - 1] ?? 0) + 1, end));
        const all = [...tails, ...to.map((end) => record("checkpoint", 1, end))];
        const left = all.filter(() => kept.next().value);
        const reach = (from: number): number =>
          left.reduce((most, { from: first, to: last }) => (first <= from + 1 && last > most ? last : most), from);
        let length = 0;
        while (reach(length) > length) length = reach(length);
        expect(texts(left.toReversed())).toEqual(length === 0 ? undefined : counted(length));
      },
    ),
  );
});

test("from its first line on a later incarnation is right, and what an earlier one had beyond it is not", () => {
  const earlier = [record("tail", 1, 5), record("tail", 6, 9)];
  const later = record("tail", 4, 6, { incarnation: 2 });
  expect(texts([later, ...earlier])).toEqual(["1:1", "1:2", "1:3", "2:4", "2:5", "2:6"]);
});

test("what stands beside the log is that of the last object that belongs to it", () => {
  const early = record("tail", 1, 3, { journals: { a: { one: "intent" } }, outputs: { x: "=1" } });
  const late = record("tail", 4, 6, { journals: { a: { one: "result" }, b: { two: "result" } } });
  const beyondAGap = record("tail", 8, 9, { journals: { a: { one: "never" } } });
  const merged = mergeRecords(id, [beyondAGap, late, early], []);
  expect(merged?.journals).toEqual({ a: { one: "result" }, b: { two: "result" } });
  expect(merged?.outputs).toEqual({ x: "=1" });
  expect(merged?.fields).toEqual({ tip: "6" });
});
