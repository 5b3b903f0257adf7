import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FailureClass, type Json, ShutdownError } from "@flotilla/workflow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Effect } from "../src/probe/effects.ts";
import { createProbe } from "../src/probe/probe.ts";
import { Rig } from "./rig.ts";

let folder: string;
let effectsPath: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-probe-"));
  effectsPath = join(folder, "effects.jsonl");
});
afterEach(() => rm(folder, { recursive: true }));

async function effects(): Promise<Effect[]> {
  const text = await readFile(effectsPath, "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Effect);
}

const workflowId = "wf_00_00000000000000000000000000";

/** Runs a claim in a process of its own: the signal that it died of, or its outcome. */
function runClaim(claim: number, input: Json, attempt = 1): Promise<unknown> {
  const task = { tenant: "default", workflowId, taskId: "main", agent: "probe", input, attempt, claim, epoch: claim };
  const program = join(import.meta.dirname, "fixtures/run-probe.ts");
  return new Promise((resolve, reject) =>
    execFile(
      process.execPath,
      [program, JSON.stringify(task), join(folder, "journal"), effectsPath],
      (error, stdout, stderr) => {
        if (error?.signal) resolve(error.signal);
        else if (error) reject(new Error(stderr, { cause: error }));
        else resolve(JSON.parse(stdout));
      },
    ),
  );
}

describe("the probe", () => {
  test("gives the output that it is told to give, and says who ran it", async () => {
    expect(await new Rig(createProbe()).run({ input: { output: { a: [1] } }, attempt: 2, claim: 3 })).toEqual({
      kind: "completed",
      output: { output: { a: [1] }, attempt: 2, claim: 3, executedSteps: 0, replayedSteps: 0, pid: process.pid },
    });
  });

  test("gives a string of so many bytes, or null", async () => {
    expect(await new Rig(createProbe()).run({ input: { outputBytes: 200 } })).toMatchObject({
      output: { output: "x".repeat(200) },
    });
    expect(await new Rig(createProbe()).run({ input: {} })).toMatchObject({ output: { output: null } });
  });

  test("without steps asks nothing of the journal, whichever claim it is", async () => {
    const rig = new Rig(createProbe());
    await rig.run({ input: { output: 1 }, attempt: 2, claim: 4 });
    expect(rig.journal).toMatchObject({ loads: 0, entries: [] });
  });

  test("blocks its process for as long as it is told", async () => {
    const startedAt = performance.now();
    await new Rig(createProbe()).run({ input: { busyMs: 30 } });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(30);
  });

  test.each(["sleepMs", "steps"])("wakes from %s when the worker shuts down", async (where) => {
    const stop = new AbortController();
    const input = where === "steps" ? { steps: [{ tool: "pure", sleepMs: 60_000 }] } : { sleepMs: 60_000 };
    const run = new Rig(createProbe()).run({ input }, stop.signal);
    setImmediate(() => stop.abort(new ShutdownError()));
    await expect(run).rejects.toBeInstanceOf(ShutdownError);
  });

  const classes: FailureClass[] = ["transient", "rate-limit", "data", "critical", "unknown"];
  test.each(classes)("fails as %s on the attempt that it is told to", async (failureClass) => {
    const rig = new Rig(createProbe());
    const input = { fail: [{ attempt: 2, class: failureClass, message: "on command" }] };
    expect(await rig.run({ input })).toMatchObject({ kind: "completed" });
    expect(await rig.run({ input, attempt: 2 })).toMatchObject({
      kind: "failed",
      error: { class: failureClass, message: "on command" },
    });
  });

  test("that fails in a step replays the steps before it on the next attempt", async () => {
    const rig = new Rig(createProbe(effectsPath));
    const input = {
      steps: [{ tool: "idempotent" }, { tool: "idempotent" }, { tool: "pure" }],
      fail: [{ attempt: 1, class: "transient", step: 1 }],
    };
    expect(await rig.run({ input })).toMatchObject({ kind: "failed", error: { class: "transient" } });
    expect(await rig.run({ input, attempt: 2 })).toMatchObject({ output: { executedSteps: 2, replayedSteps: 1 } });
    expect((await effects()).map(({ step, attempt, applied }) => [step, attempt, applied])).toEqual([
      [0, 1, true],
      [1, 2, true],
    ]);
  });

  test("refuses an effect that it has no file for", async () => {
    expect(await new Rig(createProbe()).run({ input: { steps: [{ tool: "idempotent" }] } })).toMatchObject({
      error: { class: "critical", code: "effects-not-configured" },
    });
  });
});

describe("an effect of the probe", () => {
  test("is one line that says who did what", async () => {
    const input = { steps: [{ tool: "pure" }, { tool: "idempotent" }, { tool: "idempotent", key: "mine" }] };
    await new Rig(createProbe(effectsPath)).run({ input, attempt: 2, epoch: 5 });
    const common = { workflowId, taskId: "main", attempt: 2, epoch: 5, pid: process.pid, applied: true };
    expect(await effects()).toEqual([
      { ...common, step: 1, key: `${workflowId}/main/1` },
      { ...common, step: 2, key: "mine" },
    ]);
  });

  test("is applied once for its key, by however many processes at the same time", async () => {
    const program = join(import.meta.dirname, "fixtures/apply-effects.ts");
    const processes = [1, 2, 3].map(() => fork(program, [effectsPath, "100"], { execArgv: [] }));
    await Promise.all(processes.map((child) => once(child, "message")));
    const ends = processes.map((child) => once(child, "exit"));
    for (const child of processes) child.send("go");
    expect(await Promise.all(ends)).toEqual(processes.map(() => [0, null]));

    const lines = await effects();
    expect(lines).toHaveLength(300);
    const applied = lines.filter((line) => line.applied).map((line) => Number(line.key));
    expect(applied.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, key) => key));
  });
});

describe("the probe dies by SIGKILL and is claimed again", () => {
  const steps = [{ tool: "idempotent" }, { tool: "idempotent" }];
  const applied = (lines: Effect[]) => lines.map((line) => [line.step, line.epoch, line.applied]);

  test("before a step: the steps before it are replayed", async () => {
    const input = { steps, crash: [{ step: 1 }] };
    expect(await runClaim(1, input)).toBe("SIGKILL");
    expect(await runClaim(2, input)).toMatchObject({ output: { claim: 2, executedSteps: 1, replayedSteps: 1 } });
    expect(applied(await effects())).toEqual([
      [0, 1, true],
      [1, 2, true],
    ]);
  });

  test("during a step: its effect is not applied again", async () => {
    const input = { steps, crash: [{ step: 1, at: "during" }] };
    expect(await runClaim(1, input)).toBe("SIGKILL");
    expect(await runClaim(2, input)).toMatchObject({ output: { executedSteps: 1, replayedSteps: 1 } });
    expect(applied(await effects())).toEqual([
      [0, 1, true],
      [1, 1, true],
      [1, 2, false],
    ]);
  });

  test("after a step: it is replayed", async () => {
    const input = { steps, crash: [{ step: 0, at: "after" }] };
    expect(await runClaim(1, input)).toBe("SIGKILL");
    expect(await runClaim(2, input)).toMatchObject({ output: { executedSteps: 1, replayedSteps: 1 } });
  });

  test("at the start, and after all steps", async () => {
    const input = { steps, crash: [{}, { claim: 2, at: "after" }] };
    expect(await runClaim(1, input)).toBe("SIGKILL");
    expect(await effects()).toEqual([]);
    expect(await runClaim(2, input)).toBe("SIGKILL");
    expect(await runClaim(3, input)).toMatchObject({ output: { executedSteps: 0, replayedSteps: 2 } });
  });

  test("on the attempt that is named, and on no other", async () => {
    const input = { crash: [{ attempt: 2 }] };
    expect(await runClaim(1, input)).toMatchObject({ kind: "completed" });
    expect(await runClaim(1, input, 2)).toBe("SIGKILL");
  });
});
