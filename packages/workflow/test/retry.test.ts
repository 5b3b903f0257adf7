import fc from "fast-check";
import { expect, test } from "vitest";
import { retryDelayMs } from "../src/retry.ts";
import { parallel, running, task } from "./log.ts";

function stateOf(id: string, attempt: number, backoffMs: number) {
  const state = running(parallel([task(id, { retry: { attempts: 100, backoffMs } })])).tasks.get(id);
  if (!state) throw new Error("no task");
  return { ...state, attempt };
}

test.each([
  [1, 1000, 1000, 2000],
  [2, 1000, 2000, 3000],
  [5, 1000, 16_000, 17_000],
  [6, 1000, 30_000, 31_000],
  [99, 1000, 30_000, 31_000],
  [1, 50, 50, 100],
  [3, 50, 200, 250],
  [1, 86_400_000, 30_000, 31_000],
  [7, 0, 0, 0],
])("failure %i with a backoff of %i ms waits %i to %i ms", (attempt, backoffMs, least, most) => {
  for (const id of ["a", "b", "c", "d", "e", "f"]) {
    const waitMs = retryDelayMs("wf", stateOf(id, attempt, backoffMs));
    expect(waitMs).toBeGreaterThanOrEqual(least);
    expect(waitMs).toBeLessThanOrEqual(most);
  }
});

test("the same failure always waits as long, and tasks that fail together spread", () => {
  const waits = Array.from({ length: 100 }, (_, n) => retryDelayMs("wf", stateOf(`t${n}`, 1, 1000)));
  expect(waits).toEqual(Array.from({ length: 100 }, (_, n) => retryDelayMs("wf", stateOf(`t${n}`, 1, 1000))));
  expect(new Set(waits.map((waitMs) => Math.floor(waitMs / 100))).size).toBeGreaterThan(7);
});

test.each([
  [0, 1000, 2000],
  [700, 1000, 2000],
  [5000, 5000, 6000],
  [600_000, 600_000, 601_000],
])("a service that asks for %i ms gets them", (retryAfterMs, least, most) => {
  const waitMs = retryDelayMs("wf", stateOf("a", 1, 1000), { retryAfterMs });
  expect(waitMs).toBeGreaterThanOrEqual(least);
  expect(waitMs).toBeLessThanOrEqual(most);
});

test("every wait is a whole number of ms within its bounds", () => {
  const inputs = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.nat(86_400_000), fc.string());
  fc.assert(
    fc.property(inputs, ([attempt, backoffMs, workflow]) => {
      const waitMs = retryDelayMs(workflow, stateOf("a", attempt, backoffMs));
      const wait = Math.min(backoffMs * 2 ** (attempt - 1), 30_000);
      expect(Number.isSafeInteger(waitMs)).toBe(true);
      expect(waitMs).toBeGreaterThanOrEqual(wait);
      expect(waitMs).toBeLessThanOrEqual(wait + Math.min(backoffMs, 1000));
    }),
  );
});
