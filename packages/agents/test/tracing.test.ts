import { parseConfig, Tracing, tracingEnvironment, tracingSettings } from "@flotilla/runtime";
import { OtlpReceiver, startScriptedModel } from "@flotilla/testkit";
import { TaskError } from "@flotilla/workflow";
import { tool } from "ai";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineAgent } from "../src/agent.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

const traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

/** Asks for the weather in two cities, in one of which there is none, and says what it heard. */
const forecaster = defineAgent({
  type: "forecaster",
  description: "Tells the weather.",
  input: z.unknown(),
  output: z.unknown(),
  tools: () => ({
    weather: tool({
      description: "The weather in a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        if (city === "Rome") throw new TaskError({ class: "data", code: "no-weather", message: "none" });
        return `sunny in ${city}`;
      },
    }),
  }),
  async run(ctx) {
    await ctx.step("look out", null, async () => "blue");
    await ctx.effect("wave", null, { class: "idempotent" }, async () => "waved");
    return { output: await ctx.generate({ system: "Be brief.", prompt: "How is it?" }) };
  },
});

async function rig(variables: Record<string, string> = {}) {
  const [receiver, provider] = await Promise.all([OtlpReceiver.start(), startScriptedModel()]);
  const config = parseConfig(tracingEnvironment, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    ...variables,
  });
  const tracing = new Tracing(tracingSettings(config, "agent"), () => undefined);
  await tracing.start();
  onTestFinished(async () => void (await Promise.all([receiver.stop(), provider.stop()])));
  provider.say(
    {
      kind: "calls",
      calls: ["Bergen", "Rome"].map((city) => ({ id: `call_${city}`, name: "weather", arguments: { city } })),
    },
    { kind: "text", text: "Sunny." },
  );
  const model = createModel({ baseUrl: provider.baseUrl, apiKey: "sk-test", model: "scripted-1" });
  return { receiver, provider, tracing, agent: new Rig(forecaster, model, tracing) };
}

test("a run of an agent is a span, and its steps, effects, model calls and tool calls are its children", async () => {
  const { receiver, tracing, agent } = await rig();
  await agent.run({ traceparent });
  await tracing.stop();
  const run = "invoke_agent forecaster";
  expect(receiver.spans.map((span) => receiver.path(span).join(" > ")).toSorted()).toEqual([
    run,
    `${run} > chat scripted-1`,
    `${run} > chat scripted-1`,
    `${run} > execute_tool weather`,
    `${run} > execute_tool weather`,
    `${run} > step look out`,
    `${run} > step wave`,
  ]);
  expect(receiver.named(run)).toMatchObject({
    traceId: "0123456789abcdef0123456789abcdef",
    parentSpanId: "0123456789abcdef",
    attributes: { "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster", "flotilla.attempt": 1 },
  });
  expect(receiver.named("chat scripted-1")).toMatchObject({
    kind: 3,
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "scripted-1",
      "gen_ai.response.id": "chatcmpl-1",
      "gen_ai.response.finish_reasons": ["tool-calls"],
      "gen_ai.usage.input_tokens": 10,
      "gen_ai.usage.output_tokens": 5,
    },
  });
  const calls = receiver.spans.filter(({ name }) => name === "execute_tool weather");
  const outcomes = calls.map(({ attributes }) => [attributes["gen_ai.tool.call.id"], attributes["error.type"]]);
  expect(Object.fromEntries(outcomes)).toEqual({ call_Bergen: undefined, call_Rome: "refused" });
});

test("what was said is in no span, unless the variable says so", async () => {
  const said = /How is it|sunny|Sunny/;
  const quiet = await rig();
  await quiet.agent.run({ traceparent });
  await quiet.tracing.stop();
  expect(quiet.receiver.spans.length).toBeGreaterThan(0);
  expect(quiet.receiver.bodies.map(({ body }) => body.toString()).join()).not.toMatch(said);

  const open = await rig({ OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true" });
  await open.agent.run({ traceparent });
  await open.tracing.stop();
  expect(String(open.receiver.named("chat scripted-1").attributes["gen_ai.input.messages"])).toContain("How is it?");
  const answers = open.receiver.spans.map(({ attributes }) => String(attributes["gen_ai.output.messages"]));
  expect(answers.join()).toContain("Sunny.");
  const results = open.receiver.spans.map(({ attributes }) => String(attributes["gen_ai.tool.call.result"]));
  expect(results.join()).toContain("sunny in Bergen");
});

test("what is replayed has no span, for nothing was asked", async () => {
  const { receiver, tracing, agent, provider } = await rig();
  await agent.run({ traceparent });
  const before = provider.requests.length;
  await agent.run({ traceparent, claim: 2, epoch: 2 });
  await tracing.stop();
  expect(provider.requests).toHaveLength(before);
  expect(receiver.spans.filter(({ name }) => name.startsWith("chat"))).toHaveLength(2);
  expect(receiver.spans.filter(({ name }) => name.startsWith("invoke_agent"))).toHaveLength(2);
});
