import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { fixturePath, runFixture } from "./fixtures/run.ts";

describe("runProcess", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s stops the services in reverse order and exits 0", async (signal) => {
    const { child, ended, lines, said } = runFixture("process");
    await said(/^ready/);
    child.kill(signal);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(lines).toEqual(["start first", "start second", "ready", "stop second", "stop first"]);
  });

  test("a service that does not stop within the grace costs exit code 1", async () => {
    const { child, ended, said } = runFixture("process", "hang");
    await said(/^ready/);
    child.kill("SIGTERM");
    expect(await ended).toEqual({ code: 1, signal: null });
  });

  test("a second signal does not cut the grace of the first", async () => {
    const { child, ended, said } = runFixture("process");
    await said(/^ready/);
    child.kill("SIGINT");
    child.kill("SIGTERM");
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  test("a service that does not start ends the process with 1, after stopping the others", async () => {
    const { ended, lines, stderr } = runFixture("process", "start");
    expect(await ended).toEqual({ code: 1, signal: null });
    expect(lines).toContain("stop first");
    expect(stderr()).toContain("no luck");
  });

  test("a rejection that nobody handles is logged as fatal and exits 1", async () => {
    const { ended, stderr } = runFixture("process", "reject");
    expect(await ended).toEqual({ code: 1, signal: null });
    expect(stderr()).toContain("forgotten");
    expect(stderr()).toContain('"level":"fatal"');
  });

  test("a forked process says that it is ready, with its details", async () => {
    const child = fork(fixturePath("process"), { stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [message] = await once(child, "message");
    expect(message).toEqual({ kind: "ready", port: 1 });
  });

  test("a forked process ends within 2 s of its parent's death", async () => {
    const { child, said, ended } = runFixture("parent");
    await said(/^child \d+/);
    const killedAt = performance.now();
    child.kill("SIGKILL");
    // The pipe closes only when the orphan, which inherited it, has ended too.
    await ended;
    // The rest is for a machine that is busy.
    expect(performance.now() - killedAt).toBeLessThan(4000);
  });
});
