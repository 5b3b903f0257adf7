import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom } from "./random.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test("the same seed gives the same numbers, and another one gives others", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const numbers = (of: number) => {
        const random = createRandom(of);
        return Array.from({ length: 20 }, () => random.next());
      };
      expect(numbers(seed)).toEqual(numbers(seed));
      expect(numbers(seed)).not.toEqual(numbers(seed + 1));
    }),
  );
});

test("numbers stay within their bounds, and both bounds come up", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const random = createRandom(seed);
      const numbers = new Set(Array.from({ length: 200 }, () => random.between(3, 5)));
      expect(numbers).toEqual(new Set([3, 4, 5]));
    }),
  );
});

test("what has no weight is never chosen, and more weight is chosen more often", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const random = createRandom(seed);
      const names = Array.from({ length: 1000 }, () => random.weighted({ often: 9, seldom: 1, never: 0 }));
      const count = (name: string) => names.filter((one) => one === name).length;
      expect(count("never")).toBe(0);
      expect(count("often")).toBeGreaterThan(count("seldom") * 4);
    }),
  );
});
