import { type ScriptedModel, startScriptedModel } from "@flotilla/testkit";
import type { ClaimedTask } from "@flotilla/workflow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineAgent } from "../src/agent.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

let provider: ScriptedModel;
beforeEach(async () => void (provider = await startScriptedModel()));
afterEach(() => provider.stop());

const agent = defineAgent<unknown, unknown>({
  type: "talker",
  description: "Asks a model once.",
  input: z.unknown(),
  output: z.unknown(),
  run: async (ctx) => ({ output: await ctx.generate({ system: "Be brief.", prompt: "How is it?" }) }),
});

const price = { input: 2, output: 8 };

function rigOf({ priced = true } = {}): Rig {
  const settings = { baseUrl: provider.baseUrl, model: "scripted-1", maxOutputTokens: 100 };
  return new Rig(agent, createModel({ ...settings, ...(priced ? { price } : {}) }));
}

const bounded: Partial<ClaimedTask> = { budget: { microUsd: 1_000_000 } };

describe("in a workflow with a budget", () => {
  test("what a call may cost is set apart before it, and what it did cost is on record with its result", async () => {
    const rig = rigOf();
    provider.say({ kind: "text", text: "Fine." });
    let heldAtCall: unknown[] = [];
    void provider.received(1).then(() => (heldAtCall = [...rig.journal.holds.values()]));
    expect(await rig.run(bounded)).toEqual({ kind: "completed", output: "Fine." });
    expect(heldAtCall).toEqual([{ microUsd: expect.any(Number), input: expect.any(Number), output: 100 }]);
    expect(rig.journal.payments).toEqual([{ microUsd: 60, input: 10, output: 5 }]);
    expect(rig.journal.holds.size).toBe(0);
  });

  test("the model is told how long its answer may be, and is not without one", async () => {
    provider.say({ kind: "text", text: "Fine." }, { kind: "text", text: "Fine." });
    await rigOf().run(bounded);
    await rigOf().run();
    expect(provider.requests.map((request) => request["max_tokens"])).toEqual([100, undefined]);
  });

  test("a call that may cost more than is left is not made", async () => {
    const rig = rigOf();
    rig.journal.nextHolds.push("exhausted");
    expect(await rig.run(bounded)).toMatchObject({ error: { class: "budget", code: "budget-exhausted" } });
    expect(provider.requests).toEqual([]);
  });

  test("a call that has to wait for what others have set apart lets its worker go", async () => {
    const rig = rigOf();
    provider.say({ kind: "text", text: "Fine." });
    rig.journal.nextHolds.push("busy");
    const by = { reason: "budget", of: "workflow", forMs: 2000 };
    expect(await rig.run(bounded)).toEqual({ kind: "postponed", by });
    expect(provider.requests).toEqual([]);
    expect(await rig.run({ ...bounded, claim: 2, epoch: 2 })).toEqual({ kind: "completed", output: "Fine." });
  });

  test("what the provider refused cost nothing, and what nobody knows the end of stays set apart", async () => {
    const refused = rigOf();
    provider.say({ kind: "error", status: 503, message: "busy" });
    expect(await refused.run(bounded)).toMatchObject({ kind: "failed" });
    expect(refused.journal.holds.size).toBe(0);

    const silent = rigOf();
    provider.say({ kind: "silence" });
    const stop = new AbortController();
    const run = silent.run(bounded, stop.signal);
    await provider.received(2);
    stop.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    expect(silent.journal.holds.size).toBe(1);
    expect(silent.journal.payments).toEqual([]);
  });

  test("in dollars, a model whose price nobody has named is not asked; in tokens it is", async () => {
    expect(await rigOf({ priced: false }).run(bounded)).toMatchObject({
      error: { class: "budget", code: "model-without-price" },
    });
    provider.say({ kind: "text", text: "Fine." });
    const rig = rigOf({ priced: false });
    expect(await rig.run({ budget: { tokens: 1000 } })).toMatchObject({ kind: "completed" });
    expect(rig.journal.payments).toEqual([{ microUsd: 0, input: 10, output: 5 }]);
  });
});

test("the model that runs in this process sets nothing apart, however small the budget", async () => {
  const rig = new Rig(agent, createModel());
  const outcome = await rig.run({ budget: { microUsd: 1, tokens: 1 } });
  expect(outcome).not.toMatchObject({ error: { class: "budget" } });
  expect([rig.journal.holds.size, rig.journal.payments]).toEqual([0, []]);
});

test("a replayed call is not paid for again, and without a budget what was spent is counted all the same", async () => {
  const rig = rigOf();
  provider.say({ kind: "text", text: "Fine." });
  await rig.run();
  await rig.run({ claim: 2, epoch: 2 });
  expect(rig.journal.payments).toEqual([{ microUsd: 60, input: 10, output: 5 }]);
  expect(rig.journal.holds.size).toBe(0);
});
