import { createRedact } from "@flotilla/runtime";
import { ClaimLostError, type ClaimedTask, TaskError } from "@flotilla/workflow";
import { expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, type AgentResult, defineAgent } from "../src/agent.ts";
import { maxOutputBytes } from "../src/execute.ts";
import { Rig } from "./rig.ts";

type Body = (ctx: AgentContext) => Promise<AgentResult<unknown>>;

function agentOf(run: Body, more: Partial<Agent> = {}): Agent {
  return defineAgent<unknown, unknown>({
    type: "plain",
    description: "Runs a test.",
    input: z.unknown(),
    output: z.unknown(),
    run,
    ...more,
  });
}

const giving =
  (output: unknown): Body =>
  async () => ({ output });
const secondClaim: Partial<ClaimedTask> = { claim: 2, epoch: 2 };

test("an agent that this worker does not have fails the task", async () => {
  const rig = new Rig(agentOf(giving(1)));
  expect(await rig.run({ agent: "other" })).toMatchObject({
    kind: "failed",
    error: { class: "data", code: "unknown-agent" },
  });
});

test("an input that does not fit the agent's schema fails the task and says where", async () => {
  const rig = new Rig(agentOf(giving(1), { input: z.strictObject({ question: z.string(), depth: z.int() }) }));
  expect(await rig.run({ input: { question: 7 } })).toEqual({
    kind: "failed",
    error: {
      class: "data",
      code: "invalid-input",
      message:
        "question: Invalid input: expected string, received number; depth: Invalid input: expected number, received undefined",
    },
  });
});

test("an agent gets its input as its schema reads it", async () => {
  const rig = new Rig(
    defineAgent({
      type: "plain",
      description: "Counts.",
      input: z.object({ limit: z.int().default(3) }),
      output: z.number(),
      run: async (_ctx, { limit }) => ({ output: limit }),
    }) as Agent,
  );
  expect(await rig.run({ input: {} })).toEqual({ kind: "completed", output: 3 });
});

test("an output that does not fit the agent's schema fails the task", async () => {
  const rig = new Rig(agentOf(giving("text"), { output: z.number() }));
  expect(await rig.run()).toMatchObject({ error: { class: "data", code: "invalid-output" } });
});

test("an output of 8 MiB is taken and one byte more is not", async () => {
  const fitting = "x".repeat(maxOutputBytes - 2);
  expect(await new Rig(agentOf(giving(fitting))).run()).toMatchObject({ kind: "completed" });
  expect(await new Rig(agentOf(giving(`${fitting}x`))).run()).toMatchObject({
    kind: "failed",
    error: { class: "data", code: "output-too-large" },
  });
});

test("an output is what JSON keeps of it", async () => {
  const rig = new Rig(agentOf(giving({ at: new Date(0), none: undefined })));
  expect(await rig.run()).toEqual({ kind: "completed", output: { at: "1970-01-01T00:00:00.000Z" } });
});

const phases = [{ name: "more", parallel: true, tasks: [{ id: "t", agent: "plain", input: null }] }];

test("phases are appended only by an agent that may plan", async () => {
  const body: Body = async () => ({ output: null, append: phases });
  expect(await new Rig(agentOf(body)).run()).toMatchObject({ error: { class: "data", code: "append-not-allowed" } });
  expect(await new Rig(agentOf(body, { mayPlan: true })).run()).toEqual({
    kind: "completed",
    output: null,
    append: phases,
  });
});

test("phases that are not phases are for the supervisor to refuse, who gives them back with all that is wrong", async () => {
  const append = [{ name: "no tasks", parallel: true, tasks: [] }];
  const rig = new Rig(agentOf(async () => ({ output: null, append }), { mayPlan: true }));
  expect(await rig.run()).toEqual({ kind: "completed", output: null, append });
});

test.each([
  ["no list", { phases } as never],
  ["more than 1 MiB", [{ ...phases[0], name: "x".repeat(1024 * 1024) }] as typeof phases],
])("what is appended and is %s fails the task", async (_, append) => {
  expect(await new Rig(agentOf(async () => ({ output: null, append }), { mayPlan: true })).run()).toMatchObject({
    error: { class: "data", code: "invalid-append" },
  });
});

test("what an agent throws is an outcome", async () => {
  const failure = { class: "critical", code: "no-licence", message: "no licence" } as const;
  const rig = new Rig(agentOf(() => Promise.reject(new TaskError(failure))));
  expect(await rig.run()).toEqual({ kind: "failed", error: failure });
});

test("a lost claim is thrown, whether the signal knows of it or not", async () => {
  const rig = new Rig(agentOf(async (ctx) => ({ output: await ctx.step("one", null, async () => 1) })));
  rig.journal.recordsLeft = 0;
  await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);
});

test("a run that is aborted throws the reason, whatever the agent makes of it", async () => {
  const reason = new ClaimLostError("cancelled");
  const stop = new AbortController();
  const rig = new Rig(
    agentOf(async () => {
      stop.abort(reason);
      throw new Error("the agent's own words");
    }),
  );
  await expect(rig.run({}, stop.signal)).rejects.toBe(reason);
});

test("a task that is aborted before it begins does not begin", async () => {
  const reason = new ClaimLostError("cancelled");
  const rig = new Rig(agentOf(() => expect.unreachable()));
  await expect(rig.run({}, AbortSignal.abort(reason))).rejects.toBe(reason);
});

test("an agent without steps asks nothing of the journal", async () => {
  const rig = new Rig(agentOf(giving(1)));
  await rig.run({ attempt: 3, claim: 2, epoch: 7 });
  expect(rig.journal).toMatchObject({ loads: 0, entries: [], messages: [] });
});

test("an artifact is a blob, and is named in the outcome", async () => {
  const rig = new Rig(
    agentOf(async (ctx) => ({ output: (await ctx.writeArtifact("report.md", "# Ähm", "text/markdown")).bytes })),
  );
  const [artifact] = [
    { name: "report.md", contentType: "text/markdown", bytes: 6, sha256: expect.any(String) as string },
  ];
  expect(await rig.run()).toEqual({ kind: "completed", output: 6, artifacts: [artifact] });
});

test("an artifact that was written within a step is still named when the step is replayed", async () => {
  const rig = new Rig(
    agentOf(async (ctx) => {
      await ctx.step("write", null, async () => (await ctx.writeArtifact("a.txt", "a", "text/plain")).sha256);
      await ctx.step("after", null, async () => null);
      return { output: null };
    }),
  );
  rig.journal.recordsLeft = 2;
  await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);
  rig.journal.recordsLeft = Number.POSITIVE_INFINITY;
  expect(await rig.run(secondClaim)).toMatchObject({ kind: "completed", artifacts: [{ name: "a.txt" }] });
});

test.each(["", ".hidden", "a/b", "../up", "x".repeat(129)])("an artifact cannot be named %j", async (name) => {
  const rig = new Rig(agentOf(async (ctx) => ({ output: (await ctx.writeArtifact(name, "", "text/plain")).name })));
  expect(await rig.run()).toMatchObject({ error: { class: "data", code: "invalid-artifact-name" } });
});

test("progress goes to the watchers, cut to a line that fits", async () => {
  const rig = new Rig(
    agentOf(async (ctx) => {
      await ctx.progress("x".repeat(5000));
      return { output: null };
    }),
  );
  await rig.run();
  expect(rig.journal.messages).toEqual(["x".repeat(1000)]);
});

test("what a failure says goes into the log without the secrets of the process", async () => {
  const agent = agentOf(() => Promise.reject(new Error("the key sk-secret is wrong")));
  const redact = createRedact({ OPENAI_API_KEY: "sk-secret" });
  const outcome = await new Rig(agent, undefined, undefined, redact).run();
  expect(outcome).toMatchObject({ kind: "failed", error: { message: "the key [redacted] is wrong" } });
});
