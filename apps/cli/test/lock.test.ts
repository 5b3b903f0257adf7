import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isLocked, tryLock } from "../src/local/lock.ts";

const holder = fileURLToPath(new URL("lock-holder.ts", import.meta.url));

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-lock-"));
  file = join(folder, "lock");
});
afterEach(() => rm(folder, { recursive: true }));

test("a lock that nobody took is free, and asking makes no file", () => {
  expect(isLocked(file)).toBe(false);
  expect(isLocked(join(folder, "nowhere", "lock"))).toBe(false);
});

test("a lock is taken once, and again after its release", () => {
  const lock = tryLock(file);
  expect(lock).toBeDefined();
  expect(tryLock(file)).toBeUndefined();
  expect(isLocked(file)).toBe(true);
  lock?.release();
  expect(isLocked(file)).toBe(false);
  tryLock(file)?.release();
});

test("the lock of a process that is killed is free at once", async () => {
  const child = spawn(process.execPath, [holder, file], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  expect(tryLock(file)).toBeUndefined();
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = tryLock(file);
  expect(lock).toBeDefined();
  lock?.release();
});
