import { type ScriptedModel, type ScriptedReply, startScriptedModel } from "@flotilla/testkit";
import { type ClaimedTask, ClaimLostError, type Spend, TaskError } from "@flotilla/workflow";
import { tool, type ToolSet } from "ai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Agent, defineAgent, type Generation } from "../src/agent.ts";
import { meteredModel } from "../src/models/metered.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

let provider: ScriptedModel;
beforeEach(async () => void (provider = await startScriptedModel()));
afterEach(() => provider.stop());

const laterAttempt: Partial<ClaimedTask> = { attempt: 2, epoch: 2 };
const laterClaim: Partial<ClaimedTask> = { claim: 2, epoch: 2 };

/** The tools of these tests, and how often each ran. */
class Weather {
  readonly asked: string[] = [];
  answer: (city: string) => Promise<unknown> = async (city) => ({ city, degrees: 20 });

  tools(): ToolSet {
    return {
      weather: tool({
        description: "The weather in a city.",
        inputSchema: z.object({ city: z.string() }),
        execute: ({ city }) => {
          this.asked.push(city);
          return this.answer(city);
        },
      }),
    };
  }
}

function agentOf(generation: Partial<Generation<unknown>>, weather?: Weather): Agent {
  return defineAgent<unknown, unknown>({
    type: "talker",
    description: "Asks a model once.",
    input: z.unknown(),
    output: z.unknown(),
    ...(weather && { tools: () => weather.tools() }),
    run: async (ctx) => ({ output: await ctx.generate({ system: "Be brief.", prompt: "How is it?", ...generation }) }),
  });
}

function rigOf(generation: Partial<Generation<unknown>>, weather?: Weather): Rig {
  const model = createModel({ baseUrl: provider.baseUrl, apiKey: "sk-test", model: "scripted-1" });
  return new Rig(agentOf(generation, weather), model);
}

const say = (text: string): ScriptedReply => ({ kind: "text", text });
const ask = (...cities: string[]): ScriptedReply => ({
  kind: "calls",
  calls: cities.map((city, i) => ({ id: `call_${city}_${i}`, name: "weather", arguments: { city } })),
});
const verdict = { name: "verdict", schema: z.object({ fine: z.boolean() }) };

describe("a model", () => {
  test("answers text, asked with system, prompt, name and key", async () => {
    provider.say(say("Fine."));
    expect(await rigOf({}).run()).toEqual({ kind: "completed", output: "Fine." });
    expect(provider.requests).toMatchObject([
      {
        model: "scripted-1",
        authorization: "Bearer sk-test",
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "How is it?" },
        ],
      },
    ]);
  });

  test("is told the name and the schema of the answer that is asked of it", async () => {
    provider.say(say('{"fine":true}'));
    expect(await rigOf({ answer: verdict }).run()).toEqual({ kind: "completed", output: { fine: true } });
    expect(provider.requests[0]?.response_format).toMatchObject({
      type: "json_schema",
      json_schema: { name: "verdict", schema: { properties: { fine: { type: "boolean" } } } },
    });
  });

  test("calls a tool and answers with what it learnt", async () => {
    const weather = new Weather();
    provider.say(ask("Bern"), say("20 degrees."));
    expect(await rigOf({}, weather).run()).toEqual({ kind: "completed", output: "20 degrees." });
    expect(weather.asked).toEqual(["Bern"]);
    expect(provider.requests[1]?.messages.at(-1)).toMatchObject({
      role: "tool",
      tool_call_id: "call_Bern_0",
      content: '{"city":"Bern","degrees":20}',
    });
  });

  test("calls tools at the same time, and each is a step under the id of its call", async () => {
    const weather = new Weather();
    provider.say(ask("Bern", "Oslo", "Rome"), say("Mixed."));
    const rig = rigOf({}, weather);
    expect(await rig.run()).toEqual({ kind: "completed", output: "Mixed." });
    expect(rig.journal.keys.toSorted()).toEqual([
      "#generate/model",
      "#generate/model#2",
      "#generate/tool/call_Bern_0",
      "#generate/tool/call_Oslo_1",
      "#generate/tool/call_Rome_2",
    ]);
  });

  test("that is metered tells the tokens of each call that was made, and of none that is replayed", async () => {
    const counts: Spend[] = [];
    const price = { input: 2, output: 8 };
    const model = createModel({ baseUrl: provider.baseUrl, apiKey: "sk-test", model: "scripted-1", price });
    const rig = new Rig(
      agentOf({}, new Weather()),
      meteredModel(model, (spend) => counts.push(spend)),
    );
    provider.say(ask("Bern"), say("20 degrees."));
    await rig.run();
    expect(counts).toEqual([
      { input: 10, output: 5, microUsd: 60 },
      { input: 10, output: 5, microUsd: 60 },
    ]);
    await rig.run(laterClaim);
    expect(counts).toHaveLength(2);
  });

  test("is offered only what the generation asks for of the agent's tools", async () => {
    provider.say(say("Fine."));
    await rigOf({ tools: {} }, new Weather()).run();
    expect(provider.requests[0]?.tools).toBeUndefined();
  });

  test("that loops is stopped at the limit of turns", async () => {
    provider.say(ask("A"), ask("B"), ask("C"));
    expect(await rigOf({ maxTurns: 2 }, new Weather()).run()).toMatchObject({
      error: { class: "data", code: "too-many-turns" },
    });
    expect(provider.requests).toHaveLength(2);
  });
});

describe("a model that errs", () => {
  test("in the JSON of its arguments is told so and may mend it", async () => {
    const weather = new Weather();
    const malformed: ScriptedReply = {
      kind: "calls",
      calls: [{ id: "call_1", name: "weather", arguments: '{"city":' }],
    };
    provider.say(malformed, ask("Bern"), say("20 degrees."));
    expect(await rigOf({}, weather).run()).toEqual({ kind: "completed", output: "20 degrees." });
    expect(weather.asked).toEqual(["Bern"]);
    expect(provider.requests[1]?.messages.at(-1)).toMatchObject({ role: "tool", tool_call_id: "call_1" });
    expect(provider.requests[1]?.messages.at(-1)?.content).toContain("Invalid input for tool weather");
  });

  test("in the JSON of its arguments for the third time has failed", async () => {
    const malformed: ScriptedReply = {
      kind: "calls",
      calls: [{ id: "call_1", name: "weather", arguments: "no json" }],
    };
    provider.say(malformed, malformed, malformed, say("never asked"));
    expect(await rigOf({}, new Weather()).run()).toMatchObject({ error: { class: "data", code: "bad-model-output" } });
    expect(provider.requests).toHaveLength(3);
  });

  test("in the tool that it calls is refused, and the tool of that name elsewhere is not run", async () => {
    const unknown: ScriptedReply = { kind: "calls", calls: [{ id: "call_1", name: "launch", arguments: {} }] };
    provider.say(unknown, say("Sorry."));
    expect(await rigOf({}, new Weather()).run()).toEqual({ kind: "completed", output: "Sorry." });
    expect(provider.requests[1]?.messages.at(-1)?.content).toContain("unavailable tool 'launch'");
  });

  test("in the JSON of its answer is told so and may mend it", async () => {
    provider.say(say("It is fine."), say('{"fine":"yes"}'), say('{"fine":true}'));
    expect(await rigOf({ answer: verdict }).run()).toEqual({ kind: "completed", output: { fine: true } });
    expect(provider.requests[1]?.messages.slice(-2)).toMatchObject([
      { role: "assistant", content: "It is fine." },
      { role: "user", content: expect.stringContaining("not a valid verdict") as string },
    ]);
  });

  test("in the JSON of its answer for the third time has failed", async () => {
    provider.say(say("{"), say("{"), say("{"), say('{"fine":true}'));
    expect(await rigOf({ answer: verdict }).run()).toMatchObject({
      error: { class: "data", code: "bad-model-output" },
    });
    expect(provider.requests).toHaveLength(3);
  });
});

describe("a provider that fails", () => {
  test("with one 500 costs an attempt, and the next pays only for what was not finished", async () => {
    const weather = new Weather();
    provider.say(ask("Bern"), { kind: "error", status: 500, message: "out of order" });
    const rig = rigOf({}, weather);
    expect(await rig.run()).toMatchObject({
      kind: "failed",
      error: { class: "transient", code: "provider-unavailable" },
    });
    expect(provider.requests).toHaveLength(2);

    provider.say(say("20 degrees."));
    expect(await rig.run(laterAttempt)).toEqual({ kind: "completed", output: "20 degrees." });
    expect(provider.requests).toHaveLength(3);
    expect(weather.asked).toEqual(["Bern"]);
  });

  test("with 429 and Retry-After is a rate limit at once, and nothing waits here", async () => {
    provider.say({ kind: "error", status: 429, message: "slow down", retryAfter: "30" });
    expect(await rigOf({}).run()).toEqual({
      kind: "failed",
      error: { class: "rate-limit", code: "rate-limited", message: "slow down", retryAfterMs: 30_000 },
    });
  });

  test("with 401 is never tried again", async () => {
    provider.say({ kind: "error", status: 401, message: "no such key" });
    expect(await rigOf({}).run()).toMatchObject({ error: { class: "critical", code: "provider-denied" } });
  });

  test("by not being there is a failure of the network", async () => {
    const rig = rigOf({});
    await provider.stop();
    expect(await rig.run()).toMatchObject({ error: { class: "transient", code: "network" } });
  });

  test("by saying nothing is left alone when the task is cancelled", async () => {
    provider.say({ kind: "silence" });
    const stop = new AbortController();
    const reason = new ClaimLostError("cancelled");
    const run = rigOf({}).run({}, stop.signal);
    await provider.received(1);
    stop.abort(reason);
    await expect(run).rejects.toBe(reason);
    await provider.abandoned();
  });
});

describe("a tool", () => {
  test("that refuses the data tells the model, and tells it the same in a replay", async () => {
    const weather = new Weather();
    weather.answer = () =>
      Promise.reject(new TaskError({ class: "data", code: "no-city", message: "there is no such city" }));
    provider.say(ask("Nowhere"), say("No idea."));
    const rig = rigOf({}, weather);
    expect(await rig.run()).toEqual({ kind: "completed", output: "No idea." });
    expect(provider.requests[1]?.messages.at(-1)?.content).toContain("there is no such city");
    expect(await rig.run(laterClaim)).toEqual({ kind: "completed", output: "No idea." });
    expect(weather.asked).toHaveLength(1);
    expect(provider.requests).toHaveLength(2);
  });

  test("that breaks fails the task without another call of the model, and keeps what ran beside it", async () => {
    const weather = new Weather();
    weather.answer = async (city) => {
      if (city === "Oslo") throw Object.assign(new Error("the line broke"), { code: "ECONNRESET" });
      return city;
    };
    provider.say(ask("Bern", "Oslo"));
    const rig = rigOf({}, weather);
    expect(await rig.run()).toMatchObject({ error: { class: "transient", code: "network" } });
    expect(provider.requests).toHaveLength(1);

    weather.answer = async (city) => city;
    provider.say(say("Both."));
    expect(await rig.run(laterAttempt)).toEqual({ kind: "completed", output: "Both." });
    expect(weather.asked).toEqual(["Bern", "Oslo", "Oslo"]);
  });

  test("that the agent does not declare cannot be offered", async () => {
    const rig = rigOf({ tools: new Weather().tools() });
    expect(await rig.run()).toMatchObject({ error: { class: "critical", code: "tool-not-granted" } });
    expect(provider.requests).toHaveLength(0);
  });

  test("without a function cannot be offered", async () => {
    const weather = new Weather();
    weather.tools = () => ({ weather: tool({ inputSchema: z.object({}), outputSchema: z.string() }) });
    expect(await rigOf({}, weather).run()).toMatchObject({ error: { class: "critical", code: "tool-not-runnable" } });
  });
});

test("two generations at the same time keep their records apart", async () => {
  const agent = agentOf({});
  agent.run = async (ctx) => {
    const ask = (prompt: string) => ctx.generate({ system: "Be brief.", prompt });
    return { output: await Promise.all([ask("one"), ask("two")]) };
  };
  const rig = new Rig(agent, createModel({ baseUrl: provider.baseUrl, model: "scripted-1" }));
  provider.say(say("first"), say("second"));
  const done = await rig.run();
  expect(done).toMatchObject({ kind: "completed" });
  expect(rig.journal.keys.toSorted()).toEqual(["#generate#2/model", "#generate/model"]);
  expect(await rig.run(laterClaim)).toEqual(done);
  expect(provider.requests).toHaveLength(2);
});

test("wherever a conversation is cut off, no finished call is paid for twice", async () => {
  const script = [ask("Bern", "Oslo"), ask("Rome"), say('{"fine":1}'), say('{"fine":true}')];
  // Four calls of the model and three of tools; the claim is lost at each record in turn.
  for (let lostAt = 0; lostAt < 7; lostAt++) {
    const weather = new Weather();
    const rig = rigOf({ answer: verdict }, weather);
    const paidBefore = provider.requests.length;
    rig.journal.recordsLeft = lostAt;
    provider.script(...script);
    await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);

    const finished = rig.journal.keys.filter((key) => key.includes("/model")).length;
    const inFlight = provider.requests.length - paidBefore - finished;
    expect(inFlight).toBeLessThanOrEqual(1);
    // An answer in flight was lost with the worker; the model gives it again.
    provider.script(...script.slice(finished));
    rig.journal.recordsLeft = Number.POSITIVE_INFINITY;
    expect(await rig.run(laterClaim)).toEqual({ kind: "completed", output: { fine: true } });
    expect(provider.requests.length - paidBefore).toBe(4 + inFlight);
  }
});
