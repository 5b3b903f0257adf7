import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, createClient, type WorkflowRequestInput } from "@flotilla/client";
import { httpFetch } from "@flotilla/client/node";
import { connect, disconnect, RedisKeyStore } from "@flotilla/fleet";
import { createLogger, redisSettingsOf } from "@flotilla/runtime";
import { startProcess, type TestProcess } from "@flotilla/testkit/processes";
import type { Redis } from "ioredis";
import { nodeFlags, ownCpuSeconds, type Side, taskOutput, workerConcurrency } from "./side.ts";

const tenant = "bench";
const completedKey = `{s00}:list:${tenant}:completed`;

/** Plan, three in parallel, analysis, review: no-op probe tasks of 200 bytes. */
const request: WorkflowRequestInput = {
  input: "bench",
  plan: {
    phases: [
      { name: "plan", parallel: false, tasks: [task("plan")] },
      { name: "research", parallel: true, tasks: [task("research-1"), task("research-2"), task("research-3")] },
      { name: "analysis", parallel: false, tasks: [task("analysis")] },
      { name: "review", parallel: false, tasks: [task("review")] },
    ],
  },
};

function task(id: string) {
  return { id, agent: "probe", input: { output: taskOutput } };
}

/** One plan of `tasks` parallel no-op tasks. */
export function wideRequest(tasks: number): WorkflowRequestInput {
  const all = Array.from({ length: tasks }, (_, index) => task(`task-${index}`));
  return { input: "bench", plan: { phases: [{ name: "wide", parallel: true, tasks: all }] } };
}

const main = (app: string) => new URL(`../../apps/${app}/src/main.ts`, import.meta.url).pathname;

/** The fleet: one API, one supervisor and one agent process, and the client in this one. */
export class FleetSide implements Side {
  readonly client: Client;
  readonly #redis: Redis;
  readonly #processes: TestProcess[];
  readonly #dataDir: string;
  #completed = 0;

  private constructor(client: Client, redis: Redis, processes: TestProcess[], dataDir: string) {
    this.client = client;
    this.#redis = redis;
    this.#processes = processes;
    this.#dataDir = dataDir;
  }

  static async start(url: string, redis: Redis, more: Readonly<Record<string, string>> = {}): Promise<FleetSide> {
    const dataDir = await mkdtemp(join(tmpdir(), "flotilla-bench-"));
    const env = {
      REDIS_URL: url,
      FLOTILLA_DATA_DIR: dataDir,
      LOG_LEVEL: "warn",
      METRICS_PORT: "0",
      PORT: "0",
      FLOTILLA_PROBE: "1",
      AGENT_TYPE: "probe",
      AGENT_CONCURRENCY: String(workerConcurrency),
      ...more,
    };
    const connection = connect(redisSettingsOf(url), "patient", createLogger({ role: "bench", level: "warn" }));
    const { apiKey } = await new RedisKeyStore(connection).create(tenant, "user");
    disconnect(connection);
    const processes = await Promise.all(
      ["api", "supervisor", "agent"].map((app) =>
        startProcess({ main: main(app), env, nodeFlags, readyTimeoutMs: 60_000 }),
      ),
    );
    const client = createClient({ url: String(processes[0]?.ready.url), apiKey, fetch: httpFetch });
    return new FleetSide(client, redis, processes, dataDir);
  }

  async run(count: number, inFlight: number): Promise<void> {
    const before = await this.#countCompleted();
    this.#completed = before;
    let submitted = 0;
    const submitSome = async () => {
      while (submitted < count) {
        if (submitted - (this.#completed - before) >= inFlight) await delay(2);
        else {
          submitted++;
          await this.client.submit(request);
        }
      }
    };
    const submits = Promise.all(Array.from({ length: 32 }, submitSome));
    while (this.#completed - before < count) {
      await delay(5);
      this.#completed = await this.#countCompleted();
    }
    await submits;
  }

  async latency(): Promise<number> {
    return this.timeOf(request);
  }

  /** From the call of `submit` to the end that the log tells, in ms: all clocks are this machine's. */
  async timeOf(wanted: WorkflowRequestInput): Promise<number> {
    const startedAt = Date.now();
    const { id } = await this.client.submit(wanted);
    const { status, endedAt } = await this.client.wait(id);
    if (status !== "completed" || endedAt === undefined) throw new Error(`workflow ${id} ended as ${status}`);
    return Date.parse(endedAt) - startedAt;
  }

  async cpuSeconds(): Promise<number> {
    const used = await Promise.all(this.#processes.map((running) => metric(running, "process_cpu_seconds_total")));
    return used.reduce((sum, seconds) => sum + seconds, ownCpuSeconds());
  }

  /** Where Prometheus finds the processes. */
  get metricsUrls(): string[] {
    return this.#processes.map(({ ready }) => String(ready.metricsUrl));
  }

  async rssMb(): Promise<number> {
    const used = await Promise.all(this.#processes.map((running) => metric(running, "process_resident_memory_bytes")));
    return used.reduce((sum, bytes) => sum + bytes, 0) / 2 ** 20;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((running) => running.stop()));
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  /** On a single Redis all workflows are on one shard. */
  #countCompleted(): Promise<number> {
    return this.#redis.zcard(completedKey);
  }
}

async function metric({ ready }: TestProcess, name: string): Promise<number> {
  const text = await (await fetch(String(ready.metricsUrl))).text();
  const value = new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1];
  return Number(value);
}
