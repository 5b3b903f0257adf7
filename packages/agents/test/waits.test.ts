import { startScriptedModel } from "@flotilla/testkit";
import { type ClaimedTask, type Grant, type Json, type TaskOutcome } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../src/agent.ts";
import { effectTool } from "../src/effect-tool.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

const secondClaim: Partial<ClaimedTask> = { claim: 2, epoch: 2 };

function agentOf(body: (ctx: AgentContext) => Promise<unknown>, more: Partial<Agent> = {}): Agent {
  return defineAgent<unknown, unknown>({
    type: "asker",
    description: "Waits, in a test.",
    input: z.unknown(),
    output: z.unknown(),
    run: async (ctx) => ({ output: await body(ctx) }),
    ...more,
  });
}

/** Puts the word of a person into the journal, as lua/answer.lua does. */
function grant({ journal }: Rig, outcome: TaskOutcome, value: Grant = {}): void {
  if (outcome.kind !== "asks") throw new Error(`it asks nothing: ${JSON.stringify(outcome)}`);
  const { step, argumentsHash } = outcome.approval.detail;
  journal.entries.push({ key: step, inputHash: argumentsHash, result: { value } });
}

const question = { summary: "pay 5 to the harbour master" };
const pay = (amount: Json = 5) => agentOf((ctx) => ctx.approve("pay", { amount }, question));

describe("an approval", () => {
  test("ends the run, shows the very arguments and their hash, and writes nothing", async () => {
    const rig = new Rig(pay());
    expect(await rig.run()).toEqual({
      kind: "asks",
      approval: {
        ...question,
        detail: {
          step: "#approval/pay",
          action: "pay",
          arguments: { amount: 5 },
          argumentsHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      },
    });
    expect(rig.journal.entries).toEqual([]);
  });

  test.each<[string, Grant, Json]>([
    ["the arguments", {}, { amount: 5 }],
    ["what a person put in their place", { edit: { amount: 3 } }, { amount: 3 }],
    ["null, where that is what they put there", { edit: null }, null],
  ])("gives, once granted, %s, in every later claim and attempt", async (_, word, expected) => {
    const rig = new Rig(pay());
    grant(rig, await rig.run(), word);
    for (const again of [secondClaim, { attempt: 2 }, { attempt: 2, claim: 2 }]) {
      expect(await rig.run(again)).toEqual({ kind: "completed", output: expected });
    }
  });

  test("holds for its arguments alone: a run that comes with others fails", async () => {
    const rig = new Rig(agentOf((ctx) => ctx.approve("pay", { amount: ctx.claim }, question)));
    grant(rig, await rig.run());
    expect(await rig.run(secondClaim)).toMatchObject({ kind: "failed", error: { code: "nondeterministic" } });
  });

  test("is asked though the agent makes something else of it, and lets nothing happen after it", async () => {
    let happened = 0;
    const rig = new Rig(
      agentOf(async (ctx) => {
        await ctx.approve("pay", 1, question).catch(() => null);
        await ctx.step("pay", null, async () => ++happened).catch(() => null);
        await ctx.effect("pay", null, { class: "unsafe" }, async () => ++happened).catch(() => null);
        return "done";
      }),
    );
    expect(await rig.run()).toMatchObject({ kind: "asks" });
    expect(happened).toBe(0);
  });

  test("is one of several of a name in the order of the calls, one at a time", async () => {
    const rig = new Rig(
      agentOf((ctx) => Promise.all([1, 2].map((amount) => ctx.approve("pay", { amount }, question)))),
    );
    const first = await rig.run();
    expect(first).toMatchObject({ approval: { detail: { step: "#approval/pay", arguments: { amount: 1 } } } });
    grant(rig, first);
    const second = await rig.run(secondClaim);
    expect(second).toMatchObject({ approval: { detail: { step: "#approval/pay#2", arguments: { amount: 2 } } } });
    grant(rig, second, { edit: 7 });
    expect(await rig.run({ claim: 3 })).toEqual({ kind: "completed", output: [{ amount: 1 }, 7] });
  });

  test("of more than a person can be shown fails the task", async () => {
    expect(await new Rig(pay("x".repeat(33_000))).run()).toMatchObject({
      kind: "failed",
      error: { class: "data", code: "approval-too-large" },
    });
  });

  test("says how long it may take, where it may not take for ever", async () => {
    const rig = new Rig(agentOf((ctx) => ctx.approve("pay", 1, { ...question, expiresInMs: 60_000 })));
    expect(await rig.run()).toMatchObject({ approval: { expiresInMs: 60_000 } });
  });
});

describe("a tool that wants approval", () => {
  const call = { kind: "calls" as const, calls: [{ id: "call_1", name: "pay", arguments: { amount: 5 } }] };

  function payer(paid: unknown[]): Agent {
    const tool = effectTool({
      description: "Pays.",
      inputSchema: z.strictObject({ amount: z.number() }),
      effect: "unsafe",
      approval: ({ amount }) => ({ summary: `pay ${amount}` }),
      execute: async (input) => {
        paid.push(input);
        return "paid";
      },
    });
    return agentOf((ctx) => ctx.generate({ system: "", prompt: "pay" }), { tools: () => ({ pay: tool }) });
  }

  async function withModel(test: (rig: Rig, paid: unknown[]) => Promise<void>) {
    const provider = await startScriptedModel(call, { kind: "text", text: "done" });
    const model = createModel({ baseUrl: provider.baseUrl, apiKey: "sk-test", model: "scripted-1" });
    const paid: unknown[] = [];
    try {
      await test(new Rig(payer(paid), model), paid);
    } finally {
      await provider.stop();
    }
  }

  test("is called once, after a person has approved the arguments that the model gave", () =>
    withModel(async (rig, paid) => {
      const asked = await rig.run();
      expect(asked).toMatchObject({
        approval: { summary: "pay 5", detail: { action: "pay", arguments: { amount: 5 } } },
      });
      expect(paid).toEqual([]);
      grant(rig, asked);
      expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: "done" });
      expect(await rig.run({ claim: 3 })).toEqual({ kind: "completed", output: "done" });
      expect(paid).toEqual([{ amount: 5 }]);
    }));

  test("is called with what the person put in their place, if it takes that", () =>
    withModel(async (rig, paid) => {
      grant(rig, await rig.run(), { edit: { amount: 3 } });
      expect(await rig.run(secondClaim)).toMatchObject({ kind: "completed" });
      expect(paid).toEqual([{ amount: 3 }]);
    }));

  test("is not called with an edit that it does not take", () =>
    withModel(async (rig, paid) => {
      grant(rig, await rig.run(), { edit: { sum: 3 } });
      expect(await rig.run(secondClaim)).toMatchObject({ kind: "failed", error: { code: "invalid-edit" } });
      expect(paid).toEqual([]);
    }));
});

describe("a wait for a signal", () => {
  const asked = (ctx: AgentContext) => [ctx.awaitSignal("go"), ctx.awaitSignal("go"), ctx.awaitSignal("stop")];

  test("ends the run, and is answered in order from the journal", async () => {
    const rig = new Rig(
      agentOf(async (ctx) => [await ctx.awaitSignal("go"), await ctx.awaitSignal("go"), await ctx.awaitSignal("stop")]),
    );
    const heard: string[] = [];
    for (const data of [{ data: 1 }, {}, { data: { by: "tide" } }]) {
      const outcome = await rig.run(secondClaim);
      if (outcome.kind !== "awaits") throw new Error("it waits for nothing");
      const { signal, nth, step, inputHash } = outcome.awaits;
      heard.push(`${signal} ${nth} ${step}`);
      rig.journal.entries.push({ key: step, inputHash, result: { value: data } });
    }
    expect(heard).toEqual(["go 1 #signal/go", "go 2 #signal/go#2", "stop 1 #signal/stop"]);
    expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: [1, null, { by: "tide" }] });
  });

  test("is the first of several at the same time, and all keep their places", async () => {
    const rig = new Rig(agentOf((ctx) => Promise.all(asked(ctx))));
    expect(await rig.run()).toMatchObject({ kind: "awaits", awaits: { signal: "go", nth: 1 } });
  });

  test.each(["", "a#b", "x".repeat(101)])("under the name %j fails the task", async (name) => {
    const rig = new Rig(agentOf((ctx) => ctx.awaitSignal(name)));
    expect(await rig.run()).toMatchObject({ kind: "failed", error: { class: "data", code: "invalid-signal-name" } });
  });
});
