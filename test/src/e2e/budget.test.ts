import { fileURLToPath } from "node:url";
import { describeRealRedis, startScriptedModel, type ScriptedModel } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { inTurn, planOf, run, together } from "./plans.ts";

const talks = (...prompts: string[]) =>
  planOf(
    inTurn(
      "talk",
      prompts.map((input, at) => ({ id: `t${at}`, agent: "talker", input })),
    ),
  );

describeRealRedis("what a workflow spends on models", () => {
  let model: ScriptedModel;
  let fleet: Fleet;
  beforeAll(async () => {
    model = await startScriptedModel();
    fleet = await Fleet.start({
      args: ["--agents", "planner=0,research=0,analysis=0,execution=0,review=0,probe=0,talker=1"],
      env: {
        FLOTILLA_AGENTS_DIR: fileURLToPath(new URL("./fixtures/talkers", import.meta.url)),
        OPENAI_BASE_URL: model.baseUrl,
        OPENAI_MODEL: "scripted-1",
        MODEL_PRICES: JSON.stringify({ "scripted-1": { input: 2, output: 8 } }),
        MODEL_MAX_OUTPUT_TOKENS: "1000",
      },
    });
  }, 60_000);
  afterAll(async () => {
    await fleet.dispose();
    await model.stop();
  });

  test("is counted, and shown", async () => {
    model.script({ kind: "text", text: "Fine." }, { kind: "text", text: "Fine." });
    const { view } = await run(fleet, talks("How is it?", "And now?"));
    expect(view).toMatchObject({ status: "completed", cost: { usd: 0.00012, tokens: { input: 20, output: 10 } } });
  });

  test("ends where its budget does: the call that may cost more is not made, and the workflow is aborted", async () => {
    model.script({ kind: "text", text: "Fine." }, { kind: "text", text: "never asked for" });
    const before = model.requests.length;
    // Each may make 1,000 tokens; the second is given some 300 as well.
    const { view } = await run(fleet, { ...talks("How is it?", "x".repeat(900)), budget: { usd: 1, tokens: 1200 } });
    expect(view).toMatchObject({
      status: "aborted",
      error: { class: "budget", code: "budget-exhausted", taskId: "t1" },
      cost: { usd: 0.00006, tokens: { input: 10, output: 5 } },
    });
    expect(model.requests).toHaveLength(before + 1);
  });

  test("is never more than the budget, though several calls that do not fit together are asked for at once", async () => {
    const prompts = ["one", "two", "three"];
    model.script(...prompts.map(() => ({ kind: "text", text: "Fine." }) as const));
    const tasks = prompts.map((input) => ({ id: input, agent: "talker", input }));
    const { view } = await run(fleet, { ...planOf(together("talk", tasks)), budget: { tokens: 1200 } });
    expect(view).toMatchObject({ status: "completed", cost: { tokens: { input: 30, output: 15 } } });
    expect(view.tasks.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
  });
});
