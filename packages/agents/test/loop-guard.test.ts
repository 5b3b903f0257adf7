import { type ScriptedModel, startScriptedModel } from "@flotilla/testkit";
import type { ClaimedTask, Json, TaskOutcome } from "@flotilla/workflow";
import { tool, type ToolSet } from "ai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Agent, defineAgent } from "../src/agent.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

let provider: ScriptedModel;
let asked: string[];
beforeEach(async () => {
  provider = await startScriptedModel();
  asked = [];
});
afterEach(() => provider.stop());

const tools = (): ToolSet => ({
  weather: tool({
    description: "The weather in a city.",
    inputSchema: z.object({ city: z.string(), day: z.int().optional() }),
    execute: ({ city }) => {
      asked.push(city);
      return { degrees: 20 };
    },
  }),
});

function talker(generations: number): Agent {
  return defineAgent<unknown, unknown>({
    type: "talker",
    description: "Asks a model.",
    input: z.unknown(),
    output: z.unknown(),
    tools,
    run: async (ctx) => {
      let output: string = "";
      for (let n = 0; n < generations; n++) output = await ctx.generate({ system: "", prompt: "?", maxTurns: 20 });
      return { output };
    },
  });
}

function rigOf(generations = 1): Rig {
  return new Rig(talker(generations), createModel({ baseUrl: provider.baseUrl, apiKey: "k", model: "scripted-1" }));
}

let calls = 0;
/** One turn of the model that calls the tool so. */
const call = (args: object) =>
  provider.say({ kind: "calls", calls: [{ id: `call_${calls++}`, name: "weather", arguments: args }] });
const failedBy = (code: string) => ({ kind: "failed", error: { class: "data", code } });

describe("one and the same call", () => {
  test("may be made eight times in a task, and the ninth fails it, however the arguments are written", async () => {
    for (let n = 0; n < 9; n++) call(n % 2 === 0 ? { city: "Bern", day: 1 } : { day: 1, city: "Bern" });
    expect(await rigOf().run()).toMatchObject(failedBy("loop"));
    expect(asked).toHaveLength(8);
    expect(provider.requests).toHaveLength(9);
  });

  test("is not the same with other arguments (control)", async () => {
    for (let n = 0; n < 12; n++) call({ city: "Bern", day: n });
    provider.say({ kind: "text", text: "done" });
    expect(await rigOf().run()).toEqual({ kind: "completed", output: "done" });
    expect(asked).toHaveLength(12);
  });

  test("is counted over all conversations of a task", async () => {
    for (let n = 0; n < 3; n++) {
      for (let m = 0; m < 3; m++) call({ city: "Bern" });
      provider.say({ kind: "text", text: "so far" });
    }
    expect(await rigOf(3).run()).toMatchObject(failedBy("loop"));
    expect(asked).toHaveLength(8);
  });

  test("is counted where it is replayed: a later attempt comes no further", async () => {
    for (let n = 0; n < 9; n++) call({ city: "Bern" });
    const rig = rigOf();
    await rig.run();
    const again: Partial<ClaimedTask> = { attempt: 2, epoch: 2 };
    expect(await rig.run(again)).toMatchObject(failedBy("loop"));
    expect(asked).toHaveLength(8);
  });
});

test("the same work is handed to the same agents eight times, and not a ninth", async () => {
  const giver = (payload: (n: number) => Json): Agent =>
    defineAgent<unknown, unknown>({
      type: "giver",
      description: "Hands over until it is told not to.",
      input: z.unknown(),
      output: z.unknown(),
      run: async (ctx) => {
        for (let n = 0; n < 12; n++) await ctx.handoff("other", payload(n));
        return { output: "done" };
      },
    });
  /** Runs it as often as it waits, with an answer to each handoff in its journal; how often that was, and the end. */
  const runToEnd = async (agent: Agent): Promise<[number, TaskOutcome]> => {
    const rig = new Rig(agent);
    for (let given = 0; ; given++) {
      const outcome = await rig.run({ claim: given + 1 });
      if (outcome.kind !== "hands-over") return [given, outcome];
      const { step: key, inputHash } = outcome.handoff;
      await rig.journal.record({ key, inputHash, result: { value: { output: null } } });
    }
  };
  const [given, outcome] = await runToEnd(giver(() => "the same"));
  expect(outcome).toMatchObject(failedBy("loop"));
  expect(given).toBe(8);
  expect(await runToEnd(giver((n) => n))).toEqual([12, { kind: "completed", output: "done" }]);
});
