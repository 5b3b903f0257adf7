import { expect, test } from "vitest";
import { until } from "../src/index.ts";

test("until gives back what the condition gave", async () => {
  let calls = 0;
  expect(await until(() => (++calls === 3 ? "third" : undefined))).toBe("third");
});

test("until names what it waited for, and why the condition last failed", async () => {
  const waiting = until(() => Promise.reject(new Error("not yet")), { timeoutMs: 50, what: "the fleet is up" });
  await expect(waiting).rejects.toMatchObject({
    message: "not within 50 ms: the fleet is up",
    cause: { message: "not yet" },
  });
});
