import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { killAt, places } from "./kill-at.ts";

/** On both sides of what each process promises by: stored, decided, handed out, done, recorded. The full run has the rest. */
const sample = [
  "api packages/fleet/src/store.ts:RedisStore.submit",
  "supervisor packages/fleet/src/reconcile.ts:Reconciler.#commit",
  "supervisor packages/fleet/src/queues.ts:Queues.dispatch",
  "agent packages/fleet/src/claims.ts:Claims.journal.write",
  "agent packages/fleet/src/claims.ts:Claims.#record",
];

describeRealRedis("processes that are killed between a commit and what follows it", () => {
  test("lose nothing and do nothing twice", { timeout: 300_000 }, async () => {
    const chosen = places.filter(({ app, point }) =>
      sample.some((place) => `${app} ${point.name}`.startsWith(`${place}:`)),
    );
    expect(chosen.length).toBeGreaterThanOrEqual(2 * sample.length);
    expect(await killAt(chosen)).toEqual([]);
  });
});
