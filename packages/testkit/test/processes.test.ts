import { join } from "node:path";
import { expect, test } from "vitest";
import { startProcess } from "../src/index.ts";

const main = join(import.meta.dirname, "fixtures", "ready-main.ts");

test("a process is given once it is ready, and tells how a signal ended it", async () => {
  const child = await startProcess({ main, env: { GREETING: "hello" } });
  expect(child.ready).toEqual({ kind: "ready", port: 1234 });
  expect(await child.stop("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
  expect(child.output()).toContain("started with hello");
});

test("a process that ends before it is ready is an error that shows what it wrote", async () => {
  const started = startProcess({ main, args: ["fail"], env: { GREETING: "bye" } });
  await expect(started).rejects.toMatchObject({
    message: expect.stringContaining("started with bye"),
    cause: { message: "it ended with 3" },
  });
});
