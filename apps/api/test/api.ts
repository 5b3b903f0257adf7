import { createHash } from "node:crypto";
import { PassThrough } from "node:stream";
import { createLogger } from "@flotilla/runtime";
import type { KeyRecord } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { type ApiDependencies, buildApp } from "../src/app.ts";
import { MemoryInbox } from "./memory-inbox.ts";
import { MemorySchedules } from "./memory-schedules.ts";
import { MemoryStore } from "./memory-store.ts";

/** Keys that the API under test knows. */
export const keys = { acme: "key-of-acme", other: "key-of-other", operator: "key-of-operator" };

const records: Record<string, KeyRecord> = {
  [keys.acme]: { id: "00000001", tenant: "acme", role: "user", createdAt: 0 },
  [keys.other]: { id: "00000002", tenant: "other", role: "user", createdAt: 0 },
  [keys.operator]: { id: "00000003", tenant: "acme", role: "operator", createdAt: 0 },
};

/** An API over a store in memory, with what it logged. */
export interface TestApi {
  app: FastifyInstance;
  store: MemoryStore;
  inbox: MemoryInbox;
  schedules: MemorySchedules;
  lookups: string[];
  blobs: Map<string, Buffer>;
  logged: () => string;
}

/** Builds an API for one test; close it with `api.app.close()`. */
export function testApi(overrides: Partial<ApiDependencies> = {}): TestApi {
  const store = new MemoryStore();
  const inbox = new MemoryInbox(store);
  const schedules = new MemorySchedules();
  const lookups: string[] = [];
  const blobs = new Map<string, Buffer>();
  const log = new PassThrough();
  const lines: string[] = [];
  log.on("data", (line: Buffer) => lines.push(line.toString()));
  const app = buildApp({
    store,
    inbox,
    schedules,
    keys: {
      async find(apiKey) {
        lookups.push(apiKey);
        await store.ping();
        return records[apiKey];
      },
    },
    blobs: { get: async (sha256) => chunksOf(blobs.get(sha256)) },
    deadLetters: { list: async () => [] },
    logger: createLogger({ role: "api", level: "trace", stream: log }),
    ...overrides,
  });
  return { app, store, inbox, schedules, lookups, blobs, logged: () => lines.join("") };
}

/** Headers of a call with a key. */
export function as(key: string, headers: Record<string, string> = {}): Record<string, string> {
  return { authorization: `Bearer ${key}`, ...headers };
}

/** The name of a blob. */
export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function chunksOf(content: Buffer | undefined): AsyncIterable<Uint8Array> | undefined {
  return (
    content &&
    (async function* () {
      for (let at = 0; at < content.length; at += 64 * 1024) yield content.subarray(at, at + 64 * 1024);
    })()
  );
}

/** Submits the smallest workflow and gives its id. */
export async function submitted(api: TestApi): Promise<string> {
  const answer = await api.app.inject({
    method: "POST",
    url: "/v1/workflows",
    headers: as(keys.acme),
    payload: { input: "x", agent: "research" },
  });
  const { id } = answer.json<{ id: string }>();
  return id;
}
