import { type ScriptedModel, startScriptedModel } from "@flotilla/testkit";
import type { ClaimedTask, Revision } from "@flotilla/workflow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type AgentContext, defineAgent } from "../src/agent.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

let provider: ScriptedModel;
beforeEach(async () => void (provider = await startScriptedModel()));
afterEach(() => provider.stop());

const problems = [{ path: "/append/0/tasks/1/agent", code: "unknown-agent", message: "no agent of type x is known" }];
const told = (number: number): Partial<ClaimedTask> => ({
  attempt: number + 1,
  epoch: number + 1,
  revision: { number, problems },
});

function rigOf(body: (ctx: AgentContext) => Promise<unknown>): Rig {
  const agent = defineAgent<unknown, unknown>({
    type: "planner",
    description: "Plans.",
    input: z.unknown(),
    output: z.unknown(),
    mayPlan: true,
    run: async (ctx) => ({ output: await body(ctx) }),
  });
  return new Rig(agent, createModel({ baseUrl: provider.baseUrl, apiKey: "sk-test", model: "scripted-1" }));
}

test("a model is asked anew by a task that is told what was wrong, and hears it; a crash then replays that answer", async () => {
  const rig = rigOf((ctx) => ctx.generate({ system: "Plan.", prompt: "What next?" }));
  for (const text of ["a bad plan", "a good plan"]) provider.say({ kind: "text", text });
  expect(await rig.run()).toMatchObject({ output: "a bad plan" });
  expect(await rig.run(told(1))).toMatchObject({ output: "a good plan" });
  expect(await rig.run({ ...told(1), claim: 2, epoch: 3 })).toMatchObject({ output: "a good plan" });
  expect(provider.requests).toHaveLength(2);
  const prompts = provider.requests.map(({ messages }) => JSON.stringify(messages));
  expect(prompts[0]).not.toContain("/append");
  expect(prompts[1]).toContain("/append/0/tasks/1/agent: no agent of type x is known");
});

test("a step runs anew with another input, and is replayed with the one that it had in any try before", async () => {
  const runs: unknown[] = [];
  const rig = rigOf(async (ctx) => {
    const step = (name: string, input: string) => ctx.step(name, input, async () => runs.push([name, input]));
    await step("survey", "all");
    await step("check", ctx.revision?.number === 1 ? "the second plan" : "the first plan");
  });
  for (const task of [{}, told(1), told(2)]) expect(await rig.run(task)).toMatchObject({ kind: "completed" });
  expect(runs).toEqual([
    ["survey", "all"],
    ["check", "the first plan"],
    ["check", "the second plan"],
  ]);
  // The negative control: without a revision another input is the terminal error that it is.
  const other = rigOf((ctx) => ctx.step("check", ctx.attempt, async () => 1));
  await other.run();
  expect(await other.run({ attempt: 2, epoch: 2 })).toMatchObject({ error: { code: "nondeterministic" } });
});

test("an effect happens once for one input over all tries, and under another key for another input", async () => {
  const keys: string[] = [];
  const rig = rigOf(async (ctx) => {
    const effect = (name: string, input: string) =>
      ctx.effect(name, input, { class: "idempotent" }, async ({ key }) => keys.push(key));
    await effect("reserve", "the hall");
    await effect("announce", ctx.revision ? "the second plan" : "the first plan");
  });
  for (const task of [{}, told(1), { ...told(1), claim: 2, epoch: 3 }]) await rig.run(task);
  const at = (name: string) => expect.stringMatching(new RegExp(`/main/${name}$`));
  expect(keys).toEqual([at("reserve"), at("announce"), at("#~1/announce")]);
});

test("an effect whose intent an earlier try left without a result is concluded where that intent stands", async () => {
  let fails = true;
  const rig = rigOf((ctx) =>
    ctx.effect("reserve", "the hall", { class: "idempotent" }, async ({ key }) => {
      if (fails) throw new Error("cut off");
      return key;
    }),
  );
  await rig.run();
  fails = false;
  expect(await rig.run(told(1))).toMatchObject({ output: expect.stringMatching(/\/main\/reserve$/) });
  expect(rig.journal.entries).toMatchObject([{ key: "reserve", result: { value: expect.any(String) } }]);
});

test("an artifact is written anew, and a later run of that try knows the new one", async () => {
  const rig = rigOf(async (ctx) => {
    await ctx.step("first", null, async () => null);
    const { sha256 } = await ctx.writeArtifact("plan.md", `plan ${ctx.revision?.number ?? 0}`, "text/plain");
    return sha256;
  });
  const artifactOf = async (task: Partial<ClaimedTask>) => {
    const outcome = await rig.run(task);
    return outcome.kind === "completed" && outcome.artifacts?.map(({ sha256 }) => sha256 === outcome.output);
  };
  expect(await artifactOf({})).toEqual([true]);
  expect(await artifactOf(told(1))).toEqual([true]);
  expect(await artifactOf({ ...told(1), claim: 2, epoch: 3 })).toEqual([true]);
  expect(rig.blobs.held.size).toBe(2);
});

test("the agent is told what was wrong", async () => {
  const seen: (Revision | undefined)[] = [];
  const rig = rigOf(async (ctx) => void seen.push(ctx.revision));
  for (const task of [{}, told(1)]) await rig.run(task);
  expect(seen).toEqual([undefined, { number: 1, problems }]);
});
