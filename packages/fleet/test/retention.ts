import { until } from "@flotilla/testkit";
import type { WorkflowRequest } from "@flotilla/workflow";
import { expect } from "vitest";
import { phase, planOf, task, tenant, type TestFleet } from "./fleet.ts";

/** Fails for good at its first attempt, with a step in its journal. */
export function failOnce(fleet: TestFleet): void {
  fleet.acts.set("fail once", async ({ attempt }, journal) => {
    await journal.record({ key: "one", inputHash: "", result: "x".repeat(100) });
    const error = { class: "data", code: "bad", message: "not yet" } as const;
    return attempt === 1 ? { kind: "failed", error } : { kind: "completed", output: "x".repeat(5000) };
  });
}

/** A workflow that has all that a workflow can leave behind, and fails at its second task. */
function leavesMuch(n: number): WorkflowRequest {
  const first = phase("p", [task("a", "x".repeat(5000))]);
  return { ...planOf(first, phase("q", [task("b", { act: "fail once" })])), tags: { n: String(n % 7) } };
}

/** Submits one, lets it fail, retries it, and forks it before and after that; the ids of all. */
export async function liveThrough(fleet: TestFleet, n: number): Promise<string[]> {
  const name = `${n}-${crypto.randomUUID()}`;
  const idempotency = { key: name, bodyHash: "b" };
  const { id } = await fleet.store.submit(tenant, leavesMuch(n), idempotency);
  const { events } = await fleet.end(id, 60_000);
  const fork = async (fromSeq: number) => {
    const outcome = await fleet.store.fork(tenant, id, { fromSeq }, { key: `${name} ${fromSeq}`, bodyHash: "b" });
    if (outcome?.kind !== "stored") throw new Error(`not forked: ${JSON.stringify(outcome)}`);
    return outcome.id;
  };
  const forks = [await fork(1), await fork(events.length - 1)];
  expect((await fleet.store.retry(tenant, id, name))?.kind).toBe("retried");
  return [id, ...forks];
}

/** Waits until nothing of these workflows, and no idempotency key, is left in Redis. */
export async function expectNothingLeft(fleet: TestFleet, ids: readonly string[], timeoutMs: number): Promise<void> {
  const left = async () => [
    ...(await fleet.keys(":wf:")),
    ...(await fleet.keys(":idem:")),
    ...(await fleet.keys(":list:")),
  ];
  await until(async () => (await left()).length === 0, { timeoutMs, what: "the end of all keys" });
  for (const id of ids.slice(0, 5)) {
    expect(await fleet.keys(id)).toEqual([]);
    expect(await fleet.store.get(tenant, id)).toBeUndefined();
    expect(await fleet.store.retry(tenant, id)).toBeUndefined();
    expect(await fleet.store.fork(tenant, id, { fromSeq: 1 })).toBeUndefined();
  }
  for (const set of ["due", "leases"]) {
    expect(await fleet.connection.zcard(`{s00}:${set}`)).toBe(0);
  }
  expect(await fleet.connection.scard("{s00}:active")).toBe(0);
}
