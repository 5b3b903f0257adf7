import { type ClaimedTask, ClaimLostError, ShutdownError } from "@flotilla/workflow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../src/agent.ts";
import { maxInlineBytes, maxSteps } from "../src/steps.ts";
import { Rig } from "./rig.ts";

/** An agent whose output is what `body` gives. */
function agentOf(body: (ctx: AgentContext) => Promise<unknown>): Agent {
  return defineAgent<unknown, unknown>({
    type: "steps",
    description: "Takes the steps of a test.",
    input: z.unknown(),
    output: z.unknown(),
    run: async (ctx) => ({ output: await body(ctx) }),
  });
}

const secondClaim: Partial<ClaimedTask> = { claim: 2, epoch: 2 };
const secondAttempt: Partial<ClaimedTask> = { attempt: 2, epoch: 2 };

describe("a durable step", () => {
  test.each([secondClaim, secondAttempt])("is replayed and not run again by a later run: %o", async (later) => {
    let runs = 0;
    const rig = new Rig(agentOf((ctx) => ctx.step("count", null, async () => ++runs)));
    await expect(rig.run()).resolves.toEqual({ kind: "completed", output: 1 });
    await expect(rig.run(later)).resolves.toEqual({ kind: "completed", output: 1 });
    expect(runs).toBe(1);
  });

  test("gives the first time what it gives in a replay: what JSON keeps", async () => {
    const seen: unknown[] = [];
    const rig = new Rig(
      agentOf(async (ctx) => {
        // A date is no JSON, but agents are not always as honest as their types.
        seen.push(await ctx.step("date", null, async () => new Date(0) as unknown as string));
      }),
    );
    await rig.run();
    await rig.run(secondClaim);
    expect(seen).toEqual(["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"]);
  });

  test("is numbered in the order of the calls where its name repeats", async () => {
    const rig = new Rig(
      agentOf(async (ctx) => [
        await ctx.step("same", 1, async () => "a"),
        await ctx.step("same", 2, async () => "b"),
        await ctx.step("same", 1, async () => "c"),
      ]),
    );
    expect(await rig.run()).toEqual({ kind: "completed", output: ["a", "b", "c"] });
    expect(rig.journal.keys).toEqual(["same", "same#2", "same#3"]);
    expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: ["a", "b", "c"] });
  });

  test("that is replayed with another input fails the task for good", async () => {
    const rig = new Rig(agentOf((ctx) => ctx.step("ask", { claim: ctx.claim }, async () => 1)));
    await rig.run();
    expect(await rig.run(secondClaim)).toMatchObject({
      kind: "failed",
      error: { class: "data", code: "nondeterministic" },
    });
  });

  test("is replayed when only the order of the keys of its input differs", async () => {
    const rig = new Rig(
      agentOf((ctx) => ctx.step("ask", ctx.claim === 1 ? { a: 1, b: 2 } : { b: 2, a: 1 }, async () => ctx.claim)),
    );
    await rig.run();
    expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: 1 });
  });

  test("does not ask the journal on the first claim of the first attempt", async () => {
    const rig = new Rig(agentOf((ctx) => ctx.step("one", null, async () => 1)));
    await rig.run();
    expect(rig.journal.loads).toBe(0);
    await rig.run(secondClaim);
    expect(rig.journal.loads).toBe(1);
  });

  test("with a large result keeps it as a blob and replays it from there", async () => {
    const large = "ä".repeat(maxInlineBytes);
    const rig = new Rig(agentOf((ctx) => ctx.step("read", null, async () => large)));
    await rig.run();
    expect(JSON.stringify(rig.journal.entries).length).toBeLessThan(500);
    expect(rig.blobs.held.size).toBe(1);
    expect(await rig.run(secondClaim)).toEqual({ kind: "completed", output: large });
  });

  test("with a large result that does not fit waits for room, and has run once", async () => {
    let runs = 0;
    const rig = new Rig(agentOf((ctx) => ctx.step("large", null, async () => "x".repeat(maxInlineBytes + ++runs))));
    rig.blobs.refusals = 2;
    expect(await rig.run()).toMatchObject({ kind: "completed" });
    expect(rig.blobs.refusals).toBe(0);
    expect(runs).toBe(1);
  });

  test("that waits for room ends with its run, for the reason of that", async () => {
    const rig = new Rig(agentOf((ctx) => ctx.step("large", null, async () => "x".repeat(maxInlineBytes + 1))));
    rig.blobs.refusals = Number.POSITIVE_INFINITY;
    const stop = new AbortController();
    const running = rig.run({}, stop.signal);
    stop.abort(new ShutdownError());
    await expect(running).rejects.toThrow(ShutdownError);
  });

  test("whose blob is gone fails in a way that is tried again", async () => {
    const rig = new Rig(agentOf((ctx) => ctx.step("read", null, async () => "x".repeat(maxInlineBytes))));
    await rig.run();
    rig.blobs.held.clear();
    expect(await rig.run(secondClaim)).toMatchObject({ error: { class: "transient", code: "blob-missing" } });
  });

  test("is refused above the limit, replayed ones included", async () => {
    const rig = new Rig(
      agentOf(async (ctx) => {
        for (let i = 0; i <= maxSteps; i++) await ctx.step("tick", null, async () => null);
      }),
    );
    expect(await rig.run()).toMatchObject({ error: { class: "data", code: "too-many-steps" } });
    expect(rig.journal.entries).toHaveLength(maxSteps);
    expect(await rig.run(secondClaim)).toMatchObject({ error: { code: "too-many-steps" } });
  });

  test.each(["", "a#2", "#generate", "line\nbreak", "x".repeat(201)])("cannot be named %j", async (name) => {
    const rig = new Rig(agentOf((ctx) => ctx.step(name, null, async () => null)));
    expect(await rig.run()).toMatchObject({ error: { class: "data", code: "invalid-step-name" } });
  });
});

describe("a run whose signal is aborted", () => {
  test("takes no further step and ends with the reason", async () => {
    const stop = new AbortController();
    const reason = new ClaimLostError("cancelled");
    const rig = new Rig(
      agentOf(async (ctx) => {
        await ctx.step("first", null, async () => 1);
        stop.abort(reason);
        return ctx.step("second", null, async () => expect.unreachable());
      }),
    );
    await expect(rig.run({}, stop.signal)).rejects.toBe(reason);
    expect(rig.journal.keys).toEqual(["first"]);
  });

  test("records nothing that came after a cancel", async () => {
    const stop = new AbortController();
    const rig = new Rig(
      agentOf((ctx) => ctx.step("late", null, async () => stop.abort(new ClaimLostError("cancelled")) ?? 1)),
    );
    await expect(rig.run({}, stop.signal)).rejects.toBeInstanceOf(ClaimLostError);
    expect(rig.journal.keys).toEqual([]);
  });

  test("still records the step that a shutdown met in flight", async () => {
    const stop = new AbortController();
    const rig = new Rig(
      agentOf(async (ctx) => {
        await ctx.step("paid", null, async () => stop.abort(new ShutdownError()) ?? 1);
        return ctx.step("next", null, async () => 2);
      }),
    );
    await expect(rig.run({}, stop.signal)).rejects.toBeInstanceOf(ShutdownError);
    expect(rig.journal.keys).toEqual(["paid"]);
  });
});

test("however often a run is cut off, every step is on record once and only steps in flight run twice", async () => {
  const plan = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 });
  const deaths = fc.array(fc.nat(4), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(plan, deaths, async (names, recordsBeforeDeath) => {
      let runs = 0;
      const rig = new Rig(
        agentOf(async (ctx) => {
          const seen: string[] = [];
          for (const [i, name] of names.entries()) {
            seen.push(await ctx.step(name, i, async () => (runs++, `${name}${i}`)));
          }
          return seen;
        }),
      );
      let claim = 1;
      let died = 0;
      for (const records of [...recordsBeforeDeath, Number.POSITIVE_INFINITY]) {
        rig.journal.recordsLeft = records;
        const ended = await rig.run({ claim, epoch: claim }).catch((error: unknown) => error);
        claim += 1;
        if (ended instanceof ClaimLostError) died += 1;
        else expect(ended).toEqual({ kind: "completed", output: names.map((name, i) => `${name}${i}`) });
      }
      expect(new Set(rig.journal.keys).size).toBe(rig.journal.keys.length);
      expect(rig.journal.keys).toHaveLength(names.length);
      expect(runs).toBe(names.length + died);
    }),
    { numRuns: 100 },
  );
});
