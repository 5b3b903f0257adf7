import { startScriptedModel } from "@flotilla/testkit";
import {
  type ClaimedTask,
  ClaimLostError,
  type Doubt,
  type EffectClass,
  type Json,
  ShutdownError,
  TaskError,
} from "@flotilla/workflow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../src/agent.ts";
import { type Effect, type EffectCall, NotAppliedError } from "../src/effect.ts";
import { effectTool } from "../src/effect-tool.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

const classes = ["idempotent", "queryable", "unsafe"] as const;
const secondClaim: Partial<ClaimedTask> = { claim: 2, epoch: 2 };
const prefix = "wf_00_00000000000000000000000000/main";

/** The world outside, which an effect changes: what was done under which key, and how often. */
class World {
  readonly done = new Map<string, number>();

  /** Does it, as a service that knows keys would: for every class but `unsafe` once. */
  change(kind: EffectClass, key: string): void {
    const times = this.done.get(key) ?? 0;
    if (kind === "unsafe" || times === 0) this.done.set(key, times + 1);
  }

  effect(kind: EffectClass): Effect<string> {
    if (kind !== "queryable") return { class: kind };
    const query = async ({ key }: EffectCall) =>
      this.done.has(key) ? { happened: true as const, result: `paid ${key}` } : { happened: false as const };
    return { class: kind, query };
  }
}

function agentOf(body: (ctx: AgentContext) => Promise<unknown>, more: Partial<Agent> = {}): Agent {
  return defineAgent<unknown, unknown>({
    type: "payer",
    description: "Changes the world of a test.",
    input: z.unknown(),
    output: z.unknown(),
    run: async (ctx) => ({ output: await body(ctx) }),
    ...more,
  });
}

/** An agent that pays once, and dies in the middle of it as often as it is told. */
function payer(kind: EffectClass, world: World, pay: (call: EffectCall) => Promise<void> = async () => {}): Agent {
  return agentOf((ctx) =>
    ctx.effect("pay", { amount: 5 }, world.effect(kind), async (call) => {
      world.change(kind, call.key);
      await pay(call);
      return `paid ${call.key}`;
    }),
  );
}

/** Puts the word of a person into the journal, as lua/answer.lua does. */
function settle({ journal }: Rig, { step, argumentsHash }: Doubt, word: "not-happened" | { result: Json }): void {
  const place = journal.entries.findIndex(({ key }) => key === step);
  if (word === "not-happened") journal.entries.splice(place, 1);
  else journal.entries[place] = { key: step, inputHash: argumentsHash, result: { attested: word.result } };
}

describe.each(classes)("an effect that is %s", (kind) => {
  test("happens once under its key, its intent on record before", async () => {
    const world = new World();
    const before: unknown[] = [];
    const rig: Rig = new Rig(payer(kind, world, async () => void before.push(structuredClone(rig.journal.entries))));
    expect(await rig.run()).toEqual({ kind: "completed", output: `paid ${prefix}/pay` });
    expect(before).toMatchObject([[{ key: "pay", intent: { class: kind, key: `${prefix}/pay` } }]]);
    expect(rig.journal.entries).toMatchObject([{ key: "pay", result: { value: `paid ${prefix}/pay` } }]);
    expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: `paid ${prefix}/pay` });
    expect([...world.done]).toEqual([[`${prefix}/pay`, 1]]);
  });

  test("whose worker dies before its result is on record", async () => {
    const world = new World();
    const rig = new Rig(payer(kind, world));
    rig.journal.recordsLeft = 1;
    await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);
    rig.journal.recordsLeft = Infinity;
    const outcome = await rig.run(secondClaim);
    expect([...world.done]).toEqual([[`${prefix}/pay`, 1]]);
    if (kind !== "unsafe") expect(outcome).toEqual({ kind: "completed", output: `paid ${prefix}/pay` });
    else {
      expect(outcome).toMatchObject({
        kind: "parked",
        doubt: { step: "pay", tool: "pay", key: `${prefix}/pay`, arguments: { amount: 5 } },
      });
    }
  });

  test("that certainly did not happen leaves no intent, and fails by its cause", async () => {
    const cause = new TaskError({ class: "rate-limit", code: "slow-down", message: "not now" });
    const rig = new Rig(
      agentOf((ctx) =>
        ctx.effect("pay", null, new World().effect(kind), async () => {
          throw new NotAppliedError("refused at the door", { cause });
        }),
      ),
    );
    expect(await rig.run()).toMatchObject({ kind: "failed", error: { class: "rate-limit", code: "slow-down" } });
    expect(rig.journal.entries).toEqual([]);
  });

  test("that fails otherwise is in doubt, if it is unsafe, and is tried again if not", async () => {
    const world = new World();
    let fails = true;
    const rig = new Rig(
      payer(kind, world, async () => {
        if (fails) throw new Error("no answer");
      }),
    );
    const outcome = await rig.run();
    expect(outcome.kind).toBe(kind === "unsafe" ? "parked" : "failed");
    expect(rig.journal.entries).toMatchObject([{ key: "pay", intent: { class: kind } }]);
    fails = false;
    expect((await rig.run({ attempt: 2, epoch: 2 })).kind).toBe(kind === "unsafe" ? "parked" : "completed");
    expect([...world.done.values()]).toEqual([1]);
  });

  test("is nondeterministic when it is called with another input than its intent", async () => {
    const world = new World();
    const rig = new Rig(
      agentOf((ctx) =>
        ctx.effect("pay", { claim: ctx.claim }, world.effect(kind), async ({ key }) => {
          world.change(kind, key);
          return "";
        }),
      ),
    );
    rig.journal.recordsLeft = 1;
    await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);
    rig.journal.recordsLeft = Infinity;
    expect(await rig.run(secondClaim)).toMatchObject({ kind: "failed", error: { code: "nondeterministic" } });
    expect([...world.done.values()]).toEqual([1]);
  });

  test("keeps the key of its intent, whatever a later release says", async () => {
    const keys: string[] = [];
    const rig = new Rig(
      agentOf((ctx) => {
        const effect: Effect<null> = { class: "idempotent", key: `claim-${ctx.claim}` };
        return ctx.effect("pay", null, effect, async ({ key }) => (keys.push(key), null));
      }),
    );
    rig.journal.recordsLeft = 1;
    await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);
    rig.journal.recordsLeft = Infinity;
    await rig.run(secondClaim);
    expect(keys).toEqual(["claim-1", "claim-1"]);
  });
});

describe("a doubt", () => {
  const thenDead = (world: World) => payer("unsafe", world, () => Promise.reject(new Error("no answer")));

  test("ends the run, whatever the agent makes of the error, and no step is taken after it", async () => {
    const rig = new Rig(
      agentOf(async (ctx) => {
        await ctx
          .effect("pay", null, { class: "unsafe" }, () => Promise.reject(new Error("no answer")))
          .catch(() => {});
        await ctx.step("next", null, async () => expect.unreachable()).catch(() => {});
        return "all is well";
      }),
    );
    expect(await rig.run()).toMatchObject({ kind: "parked", doubt: { step: "pay" } });
    expect(rig.journal.keys).toEqual(["pay"]);
  });

  test("that a person ends with a result gives it to the agent, and with none gives null", async () => {
    for (const result of [{ receipt: 7 }, null]) {
      const world = new World();
      const rig = new Rig(thenDead(world));
      const outcome = await rig.run();
      if (outcome.kind !== "parked") throw new Error("not parked");
      settle(rig, outcome.doubt, { result });
      expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: result });
      expect([...world.done.values()]).toEqual([1]);
    }
  });

  test("that a person ends with a no is run again, under the same key", async () => {
    const world = new World();
    const rig = new Rig(thenDead(world));
    const outcome = await rig.run();
    if (outcome.kind !== "parked") throw new Error("not parked");
    settle(rig, outcome.doubt, "not-happened");
    expect(await rig.run(secondClaim)).toMatchObject({ kind: "parked", doubt: { key: outcome.doubt.key } });
    expect([...world.done.values()]).toEqual([2]);
  });

  test("shows arguments up to 2 KB, and of larger ones their size", async () => {
    const text = "x".repeat(3000);
    const rig = new Rig(
      agentOf((ctx) => ctx.effect("pay", text, { class: "unsafe" }, () => Promise.reject(new Error("no answer")))),
    );
    const outcome = await rig.run();
    expect(outcome).toMatchObject({ kind: "parked", doubt: { argumentsBytes: 3002 } });
    expect(outcome.kind === "parked" && outcome.doubt).not.toHaveProperty("arguments");
  });

  test("is not made of another effect that only took longer", async () => {
    const rig = new Rig(
      agentOf((ctx) =>
        Promise.all([
          ctx.effect("a", null, { class: "unsafe" }, () => Promise.reject(new Error("no answer"))),
          ctx.effect("b", null, { class: "unsafe" }, async () => {
            await new Promise((resolve) => setTimeout(resolve, 20));
            return "late";
          }),
        ]),
      ),
    );
    expect(await rig.run()).toMatchObject({ kind: "parked", doubt: { step: "a" } });
    expect(rig.journal.entries).toMatchObject([
      { key: "a", intent: {} },
      { key: "b", result: { value: "late" } },
    ]);
  });
});

describe("a shutdown", () => {
  test("that comes before an effect leaves no intent behind", async () => {
    const stop = new AbortController();
    const rig = new Rig(
      agentOf((ctx) => ctx.effect("pay", null, { class: "unsafe" }, async () => expect.unreachable())),
    );
    const intend = rig.journal.intend.bind(rig.journal);
    rig.journal.intend = async (entry) => {
      await intend(entry);
      stop.abort(new ShutdownError());
    };
    await expect(rig.run({}, stop.signal)).rejects.toBeInstanceOf(ShutdownError);
    expect(rig.journal.entries).toEqual([]);
  });

  test("that meets an effect in flight lets it be recorded", async () => {
    const stop = new AbortController();
    const rig = new Rig(
      agentOf((ctx) =>
        ctx.effect("pay", null, { class: "unsafe" }, async () => stop.abort(new ShutdownError()) ?? "paid"),
      ),
    );
    await expect(rig.run({}, stop.signal)).rejects.toBeInstanceOf(ShutdownError);
    expect(rig.journal.entries).toMatchObject([{ key: "pay", result: { value: "paid" } }]);
  });
});

describe("an effect tool", () => {
  async function rigOf(tools: Agent["tools"]): Promise<{ rig: Rig; stop(): Promise<void> }> {
    const provider = await startScriptedModel(
      { kind: "calls", calls: [{ id: "call_1", name: "pay", arguments: { amount: 5 } }] },
      { kind: "text", text: "Paid." },
      { kind: "text", text: "Paid." },
    );
    const model = createModel({ baseUrl: provider.baseUrl, apiKey: "sk-test", model: "scripted-1" });
    const body = (ctx: AgentContext) => ctx.generate({ system: "", prompt: "Pay." });
    return { rig: new Rig(agentOf(body, tools ? { tools } : {}), model), stop: () => provider.stop() };
  }
  const inputSchema = z.object({ amount: z.int() });

  test("is given a key that is the same in every try, and the model is told what a person says it gave", async () => {
    const keys: string[] = [];
    const { rig, stop } = await rigOf(() => ({
      pay: effectTool({
        description: "Pays.",
        inputSchema,
        effect: "unsafe",
        execute: async (_, { key }) => {
          keys.push(key);
          throw new Error("no answer");
        },
      }),
    }));
    try {
      const outcome = await rig.run();
      if (outcome.kind !== "parked") throw new Error("not parked");
      expect(outcome.doubt).toMatchObject({ tool: "pay", arguments: { tool: "pay", input: { amount: 5 } } });
      expect(keys).toEqual([outcome.doubt.key]);
      settle(rig, outcome.doubt, { result: { receipt: 7 } });
      expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: "Paid." });
      expect(keys).toHaveLength(1);
    } finally {
      await stop();
    }
  });

  test("that is queryable is asked and not run again", async () => {
    let runs = 0;
    const { rig, stop } = await rigOf(() => ({
      pay: effectTool({
        description: "Pays.",
        inputSchema,
        effect: "queryable",
        execute: async () => {
          runs += 1;
          throw new TaskError({ class: "transient", code: "network", message: "cut" });
        },
        query: async ({ amount }) => ({ happened: true, result: { amount } }),
      }),
    }));
    try {
      expect(await rig.run()).toMatchObject({ kind: "failed", error: { class: "transient" } });
      expect(await rig.run({ attempt: 2, epoch: 2 })).toEqual({ kind: "completed", output: "Paid." });
      expect(runs).toBe(1);
    } finally {
      await stop();
    }
  });

  test("that refuses the call for certain tells the model so", async () => {
    const { rig, stop } = await rigOf(() => ({
      pay: effectTool({
        description: "Pays.",
        inputSchema,
        effect: "unsafe",
        execute: async () => {
          const cause = new TaskError({ class: "data", code: "no-money", message: "there is no money" });
          throw new NotAppliedError("refused", { cause });
        },
      }),
    }));
    try {
      expect(await rig.run()).toEqual({ kind: "completed", output: "Paid." });
      expect(rig.journal.entries.find(({ key }) => key.includes("/tool/"))).toMatchObject({ result: {} });
    } finally {
      await stop();
    }
  });
});

/** Runs the plan over and over, cut off after so many writes each time, and lets an honest person settle every doubt. */
async function endure(kinds: readonly EffectClass[], cuts: readonly number[], classOf = (kind: EffectClass) => kind) {
  const world = new World();
  const rig = new Rig(
    agentOf(async (ctx) => {
      for (const [place, kind] of kinds.entries()) {
        await ctx.effect(`${place}`, place, world.effect(classOf(kind)), async ({ key }) => {
          world.change(kind, key);
          return "";
        });
      }
    }),
  );
  let doubts = 0;
  const rest = [...cuts];
  for (let claim = 1; ; claim++) {
    rig.journal.recordsLeft = rest.shift() ?? Infinity;
    const outcome = await rig.run({ claim, epoch: claim }).catch((error: unknown) => {
      if (!(error instanceof ClaimLostError)) throw error;
    });
    if (outcome?.kind === "completed") return { world, doubts };
    if (outcome?.kind !== "parked") continue;
    doubts += 1;
    settle(rig, outcome.doubt, world.done.has(outcome.doubt.key) ? { result: "" } : "not-happened");
  }
}

const plans = fc.array(fc.constantFrom(...classes), { minLength: 1, maxLength: 6 });
const cuts = fc.array(fc.nat(5), { maxLength: 8 });

test("however often a run is cut off, every effect happens exactly once, and only unsafe ones are in doubt", async () => {
  await fc.assert(
    fc.asyncProperty(plans, cuts, async (kinds, after) => {
      const { world, doubts } = await endure(kinds, after);
      expect([...world.done]).toEqual(kinds.map((_, place) => [`${prefix}/${place}`, 1]));
      if (!kinds.includes("unsafe")) expect(doubts).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test("an unsafe effect that is treated as idempotent happens twice: the property would find it", async () => {
  const found = await fc.check(
    fc.asyncProperty(plans, cuts, async (kinds, after) => {
      const { world } = await endure(kinds, after, () => "idempotent");
      expect([...world.done.values()].every((times) => times === 1)).toBe(true);
    }),
    { numRuns: 500, seed: 1 },
  );
  expect(found.failed).toBe(true);
});
