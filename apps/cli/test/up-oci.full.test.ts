import { once } from "node:events";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { flotilla, startFlotilla } from "./launcher.ts";

const upArgs = ["up", "--json", "--probe", "--port", "0"];
const agents = ["--agents", "planner=0,research=0,analysis=0,execution=0,review=0"];
const environment = { OCI_AUTH: "local" };

const Ready = z.object({ event: z.literal("ready"), processes: z.array(z.object({ role: z.string(), pid: z.int() })) });
const Result = z.object({ id: z.string(), status: z.literal("completed") });

test("with OCI_AUTH=local a fleet keeps its blobs on a server of its own, also when that one dies", async () => {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-up-oci-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const child = startFlotilla([...upArgs, ...agents], folder, environment);
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  if (!child.stdout) throw new Error("a child without the pipe that it was given");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { processes } = Ready.parse(JSON.parse((await lines.next()).value ?? "null"));
  const oci = processes.find(({ role }) => role === "oci");
  if (!oci) throw new Error("there is no process of role oci");

  const run = async (outputBytes: number) => {
    const ran = await flotilla(["run", "--json", "--agent", "probe", JSON.stringify({ outputBytes })], folder);
    return Result.parse(JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? ""));
  };
  const objects = join(folder, ".flotilla", "oci", "data", "buckets", "agent-checkpoints", "objects");
  /** The archive keeps its own there, which is small. */
  const blobs = async () => {
    const sizes = (await readdir(objects)).map(async (name) => (await stat(join(objects, name))).size);
    return (await Promise.all(sizes)).filter((bytes) => bytes > 50_000).length;
  };
  const first = await run(100_000);
  expect(await blobs()).toBe(1);
  await expect(readdir(join(folder, ".flotilla", "blobs"))).rejects.toThrow("ENOENT");

  process.kill(oci.pid, "SIGKILL");
  await run(200_000);
  expect(await blobs()).toBe(2);
  const task = await flotilla(["get", "--json", first.id], folder);
  expect(task.code).toBe(0);
});
