import { noTracer } from "@flotilla/runtime";
import { startScriptedModel } from "@flotilla/testkit";
import { CircuitOpenError, type Circuits, type IsFault, type ModelLimits, TaskError } from "@flotilla/workflow";
import { tool } from "ai";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../src/agent.ts";
import { effectTool } from "../src/effect-tool.ts";
import { createModel } from "../src/models/model.ts";
import { Rig } from "./rig.ts";

/** Circuits that are opened by hand, and tell which calls spoke against one. */
class HandCircuits implements Circuits {
  readonly open = new Set<string>();
  readonly faults: string[] = [];
  readonly made: string[] = [];

  async run<T>(circuit: string, call: () => Promise<T>, isFault: IsFault): Promise<T> {
    if (this.open.has(circuit)) throw new CircuitOpenError(circuit, 4000);
    this.made.push(circuit);
    return call().catch((error: unknown) => {
      if (isFault(error, false)) this.faults.push(circuit);
      throw error;
    });
  }
}

function agentOf(body: (ctx: AgentContext) => Promise<unknown>, more: Partial<Agent> = {}): Agent {
  return defineAgent<unknown, unknown>({
    type: "payer",
    description: "Calls others.",
    input: z.unknown(),
    output: z.unknown(),
    run: async (ctx) => ({ output: await body(ctx) }),
    ...more,
  });
}

const failing =
  (kind: "transient" | "rate-limit" | "data" | "critical", code = "code") =>
  async (): Promise<never> => {
    throw new TaskError({ class: kind, code, message: "" });
  };
const postponed = (of: string) => ({ kind: "postponed", by: { reason: "circuit-open", of } });

const calling = { kind: "calls" as const, calls: [{ id: "call_1", name: "pay", arguments: {} }] };
const done = { kind: "text" as const, text: "Paid." };

/** An agent whose model pays by a tool, and what it is run with. */
async function payer(kind: "idempotent" | "unsafe", pay: () => Promise<string>, circuits: Circuits) {
  const provider = await startScriptedModel(calling, done);
  const tools = () => ({
    pay: effectTool({ description: "d", inputSchema: z.object({}), effect: kind, execute: pay }),
  });
  // Whatever the agent makes of it, a run that is to wait has come to its end.
  const agent = agentOf(
    (ctx) =>
      ctx.generate({ system: "s", prompt: "p" }).catch(async (error: unknown) => {
        await ctx.step("after", null, async () => 0);
        throw error;
      }),
    { tools },
  );
  const model = createModel({ baseUrl: provider.baseUrl, model: "scripted" });
  return { provider, rig: new Rig(agent, model, noTracer, undefined, { circuits }) };
}

describe.each(["idempotent", "unsafe"] as const)("an open circuit of a tool that is %s", (kind) => {
  test("lets the task wait: it did not happen and is in no doubt, and what was done before it stands", async () => {
    const circuits = new HandCircuits();
    let paid = 0;
    const { rig, provider } = await payer(kind, async () => `${++paid}`, circuits);
    circuits.open.add("tool:payer/pay");
    const outcome = await rig.run();
    expect(outcome).toMatchObject(postponed("tool:payer/pay"));
    const forMs = outcome.kind === "postponed" ? outcome.by.forMs : 0;
    expect(forMs).toBeGreaterThanOrEqual(4000);
    expect(forMs).toBeLessThanOrEqual(4800);
    expect([rig.journal.keys, paid]).toEqual([[expect.stringContaining("/model")], 0]);
    circuits.open.clear();
    expect(await rig.run({ claim: 2, epoch: 2 })).toEqual({ kind: "completed", output: "Paid." });
    expect([provider.requests.length, paid]).toEqual([2, 1]);
    await provider.stop();
  });
});

describe("what speaks against a circuit", () => {
  test.each([
    ["transient", "code", true],
    ["rate-limit", "rate-limited", true],
    ["transient", "store-unavailable", false],
    ["critical", "code", false],
  ] as const)("a failure of class %s and code %s: %s", async (kind, code, isFault) => {
    const circuits = new HandCircuits();
    const { rig, provider } = await payer("idempotent", failing(kind, code), circuits);
    expect(await rig.run()).toMatchObject({ kind: "failed" });
    expect(circuits.faults).toEqual(isFault ? ["tool:payer/pay", "agent:payer"] : []);
    await provider.stop();
  });

  test("nothing that is wrong with the input of one call, which the model is told", async () => {
    const circuits = new HandCircuits();
    const { rig, provider } = await payer("idempotent", failing("data"), circuits);
    expect(await rig.run()).toMatchObject({ kind: "completed" });
    expect(circuits.faults).toEqual([]);
    await provider.stop();
  });

  test("no effect that an agent has by itself: it may have any name", async () => {
    const circuits = new HandCircuits();
    const agent = agentOf((ctx) => ctx.effect("pay-4711", 5, { class: "idempotent" }, async () => 1));
    await new Rig(agent, undefined, noTracer, undefined, { circuits }).run();
    expect(circuits.made).toEqual(["agent:payer"]);
  });

  test("of an agent type, only the first attempt of a task: the last that run are the retries of what fails by itself", async () => {
    const circuits = new HandCircuits();
    const rig = new Rig(agentOf(failing("transient")), undefined, noTracer, undefined, { circuits });
    await rig.run({ attempt: 2, epoch: 2 });
    expect(circuits.faults).toEqual([]);
    await rig.run();
    expect(circuits.faults).toEqual(["agent:payer"]);
  });

  test("nothing that an open circuit has kept away", async () => {
    const circuits = new HandCircuits();
    circuits.open.add("agent:payer");
    let runs = 0;
    const rig = new Rig(
      agentOf(async () => ++runs),
      undefined,
      noTracer,
      undefined,
      { circuits },
    );
    expect(await rig.run()).toMatchObject(postponed("agent:payer"));
    expect([runs, circuits.faults]).toEqual([0, []]);
  });
});

describe("a conversation with a model", () => {
  const tools = (answer: () => Promise<string>) => ({
    weather: tool({ description: "d", inputSchema: z.object({}), execute: answer }),
  });
  const talker = (answer: () => Promise<string>) =>
    agentOf((ctx) => ctx.generate({ system: "Be brief.", prompt: "How is it?" }), { tools: () => tools(answer) });

  test("goes through the circuits of its provider and its tools, but not what is replayed; an open one lets it wait", async () => {
    const provider = await startScriptedModel();
    const { host } = new URL(provider.baseUrl);
    const circuits = new HandCircuits();
    const model = createModel({ baseUrl: provider.baseUrl, model: "scripted" });
    const rig = new Rig(
      talker(async () => "sun"),
      model,
      noTracer,
      undefined,
      { circuits },
    );
    provider.script(
      { kind: "calls", calls: [{ id: "call_1", name: "weather", arguments: {} }] },
      { kind: "text", text: "It is sunny." },
    );
    circuits.open.add("tool:payer/weather");
    expect(await rig.run()).toMatchObject(postponed("tool:payer/weather"));
    circuits.open.clear();
    circuits.open.add(`model:${host}`);
    expect(await rig.run({ claim: 2, epoch: 2 })).toMatchObject(postponed(`model:${host}`));
    circuits.open.clear();
    circuits.made.length = 0;
    expect(await rig.run({ claim: 3, epoch: 3 })).toEqual({ kind: "completed", output: "It is sunny." });
    expect(circuits.made).toEqual(["agent:payer", `model:${host}`]);
    await provider.stop();
  });

  test("waits where the minute of its provider is used up, which takes nothing from it and speaks against nobody", async () => {
    const provider = await startScriptedModel({ kind: "text", text: "It is sunny." });
    const { host } = new URL(provider.baseUrl);
    const [circuits, asked] = [new HandCircuits(), Array<string>()];
    const waits = [30_000, 0];
    const limits: ModelLimits = {
      take: async (name) => {
        asked.push(name);
        return waits.shift() ?? 0;
      },
      spent: async () => undefined,
    };
    const model = createModel({ baseUrl: provider.baseUrl, model: "scripted" });
    const rig = new Rig(
      talker(async () => "sun"),
      model,
      noTracer,
      undefined,
      { circuits, limits },
    );
    circuits.open.add(`model:${host}`);
    expect(await rig.run()).toMatchObject(postponed(`model:${host}`));
    expect(asked).toEqual([]);
    circuits.open.clear();
    const by = { reason: "provider-limit", of: `model:${host}` };
    expect(await rig.run({ claim: 2, epoch: 2 })).toMatchObject({ kind: "postponed", by });
    expect([asked, circuits.faults, provider.requests]).toEqual([[host], [], []]);
    expect(await rig.run({ claim: 3, epoch: 3 })).toEqual({ kind: "completed", output: "It is sunny." });
    await provider.stop();
  });

  test("the embedded model has none: it runs in this process", async () => {
    const circuits = new HandCircuits();
    await new Rig(
      talker(async () => "sun"),
      createModel(),
      noTracer,
      undefined,
      { circuits },
    ).run();
    expect(circuits.made.filter((name) => name.startsWith("model:"))).toEqual([]);
  });
});
