import { setTimeout as pass } from "node:timers/promises";
import { expect, test } from "vitest";
import { runFixture } from "./fixtures/run.ts";

test("a blocked event loop ends the process with 70 and says so", async () => {
  const { ended, stderr } = runFixture("watched", "block");
  expect(await ended).toEqual({ code: 70, signal: null });
  expect(stderr()).toContain("the event loop is blocked");
});

test("a loop that is stuck in native code, where nothing can interrupt it, is killed", async () => {
  const { ended } = runFixture("watched", "block-natively");
  expect(await ended).toEqual({ code: null, signal: "SIGKILL" });
});

test("a suspended process is not taken for a blocked one", async () => {
  const { child, ended, lines, said } = runFixture("watched");
  await said(/^turn/);
  child.kill("SIGSTOP");
  // Twice the lag that is allowed: time that must pass is the rule here, there is nothing to wait for.
  await pass(2000);
  const turns = lines.length;
  child.kill("SIGCONT");
  await expect.poll(() => lines.length, { timeout: 20_000 }).toBeGreaterThan(turns + 3);
  child.kill("SIGTERM");
  expect(await ended).toEqual({ code: null, signal: "SIGTERM" });
});
