import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { findServer, type RedisServer } from "@flotilla/redis";
import type { TestProject } from "vitest/node";
import { flotillaRoot, mayFetch } from "./config.ts";

/** The server that tests run on, or why there is none. */
export type RedisForTests = { server: RedisServer } | { missing: string };

declare module "vitest" {
  interface ProvidedContext {
    redis: RedisForTests;
    /** What test files share for a whole run stands here; removed after it. */
    folder: string;
  }
}

/**
 * Makes the folder of a run, and finds or fetches a Redis once for all its files, saying which one it is (vitest
 * `globalSetup`). Answers what ends it.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-tests-"));
  project.provide("folder", folder);
  let reason = "no server on PATH, and FLOTILLA_FETCH=0 forbids to fetch one";
  const say = (line: string) => console.error((reason = line));
  const server = await findServer({ root: flotillaRoot, fetch: mayFetch, say });
  if (server) {
    console.log(`redis: tests run on ${basename(server.binary)} ${server.version}`);
    project.provide("redis", { server });
  } else {
    console.log(`redis: none, so tests that need a real one are skipped (${reason})`);
    project.provide("redis", { missing: reason });
  }
  return () => rm(folder, { recursive: true, force: true });
}
