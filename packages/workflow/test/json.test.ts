import { canonicalJson, isDeeperThan } from "@flotilla/workflow";
import fc from "fast-check";
import { expect, test } from "vitest";

const nested = (depth: number): unknown =>
  depth === 0 ? 1 : depth % 2 === 0 ? [nested(depth - 1)] : { a: nested(depth - 1) };

test("equal values have one text, whatever the order of their keys", () => {
  expect(canonicalJson({ b: [1, { z: null, a: "x" }], a: 1.5, "": true })).toBe(
    '{"":true,"a":1.5,"b":[1,{"a":"x","z":null}]}',
  );
  expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}');
  const shuffled = fc
    .dictionary(fc.string(), fc.jsonValue())
    .map((value) => [value, Object.fromEntries(Object.entries(value).toReversed())]);
  fc.assert(
    fc.property(shuffled, ([one, other]) => {
      expect(canonicalJson(one)).toBe(canonicalJson(other));
    }),
  );
});

test("the text is JSON of the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("keys are ordered by their UTF-16 units", () => {
  expect(canonicalJson({ "\u{1F600}": 1, "\uFB33": 2, a: 3, A: 4 })).toBe('{"A":4,"a":3,"\u{1F600}":1,"\uFB33":2}');
});

test.each([
  ["a number", 1, 0, false],
  ["an empty list", [], 0, true],
  ["an empty list", [], 1, false],
  ["64 levels", nested(64), 64, false],
  ["65 levels", nested(65), 64, true],
  ["a deep value after shallow ones", [1, {}, [[[]]]], 3, true],
])("%s: deeper than a limit", (_, value, limit, isDeeper) => {
  expect(isDeeperThan(value, limit)).toBe(isDeeper);
});

test("a depth that would overflow the stack is measured all the same", () => {
  let value: unknown = 1;
  for (let depth = 0; depth < 200_000; depth++) value = [value];
  expect(isDeeperThan(value, 64)).toBe(true);
  expect(isDeeperThan(value, 200_000)).toBe(false);
});
