import { basename } from "node:path";
import { findServer, type RedisServer } from "@flotilla/redis";
import type { TestProject } from "vitest/node";
import { flotillaRoot, mayFetch } from "./config.ts";

/** The server that tests run on, or why there is none. */
export type RedisForTests = { server: RedisServer } | { missing: string };

declare module "vitest" {
  interface ProvidedContext {
    redis: RedisForTests;
  }
}

/** Finds or fetches a Redis once for all files of a run, and says which one it is (vitest `globalSetup`). */
export async function setup(project: TestProject): Promise<void> {
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
}
