import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Client, createClient } from "@flotilla/client";
import { until } from "@flotilla/testkit";
import { z } from "zod";
import { type CommandOptions, ended, spawnFlotilla } from "./flotilla.ts";

const Role = z.enum(["api", "supervisor", "agent", "redis", "oci"]);
type Role = z.infer<typeof Role>;

const Ready = z.strictObject({
  event: z.literal("ready"),
  url: z.url(),
  apiKey: z.string(),
  operatorKey: z.string(),
  redis: z.strictObject({ kind: z.enum(["url", "server", "memory"]), url: z.string(), durable: z.boolean() }),
  dataDir: z.string(),
  processes: z.array(
    z.strictObject({
      role: Role,
      agentType: z.string().exactOptional(),
      pid: z.int(),
      metricsUrl: z.url().exactOptional(),
    }),
  ),
});

const change = {
  role: Role,
  agentType: z.string().exactOptional(),
  pid: z.int(),
  at: z.iso.datetime({ precision: 3 }),
};
const Change = z.discriminatedUnion("event", [
  z.strictObject({ event: z.literal("start"), ...change }),
  z.strictObject({ event: z.literal("exit"), ...change, code: z.int().nullable(), signal: z.string().nullable() }),
]);
type Change = z.infer<typeof Change>;

/** A line of the probe's effect log. */
const Effect = z.strictObject({
  workflowId: z.string(),
  taskId: z.string(),
  step: z.int(),
  key: z.string(),
  attempt: z.int(),
  epoch: z.int(),
  pid: z.int(),
  applied: z.boolean(),
});
type Effect = z.infer<typeof Effect>;

/** Options of `up` for that many probes and no other agents: a fleet that is up in a second or two. */
export function onlyProbes(count = 1): string[] {
  return ["--agents", `planner=0,research=0,analysis=0,execution=0,review=0,probe=${count}`];
}

/** What a fleet is to be. */
export interface FleetOptions extends Partial<CommandOptions> {
  /** Beside `up --json --port 0 --probe`. */
  args?: readonly string[];
  /** Its own number of agents is what most tests count on. */
  autoscale?: boolean;
  /** One of an earlier fleet; otherwise a new one, removed with `dispose`. */
  dataDir?: string;
}

/** A fleet that `flotilla up` runs, seen as any program sees it: by its stdout, its address and its processes. */
export class Fleet {
  readonly ready: z.infer<typeof Ready>;
  readonly client: Client;
  /** `start` and `exit` lines since it was ready. */
  readonly changes: Change[] = [];
  readonly #child: ChildProcess;
  readonly #said: ReturnType<typeof ended>;
  readonly #ownFolder: string | undefined;

  private constructor(started: {
    ready: z.infer<typeof Ready>;
    child: ChildProcess;
    said: ReturnType<typeof ended>;
    ownFolder: string | undefined;
  }) {
    this.ready = started.ready;
    const { url, apiKey } = started.ready;
    // A process that was killed takes its time to come back where the machine is busy.
    this.client = createClient({ url, apiKey, retryMs: 30_000 });
    this.#child = started.child;
    this.#said = started.said;
    this.#ownFolder = started.ownFolder;
  }

  /** Resolves with the ready line; rejects with what the command wrote if it ends before. */
  static async start({
    args = [],
    autoscale = false,
    dataDir,
    env = {},
    ...options
  }: FleetOptions = {}): Promise<Fleet> {
    const ownFolder = dataDir === undefined ? await mkdtemp(join(tmpdir(), "flotilla-e2e-")) : undefined;
    const folder = dataDir ?? join(ownFolder ?? tmpdir(), "data");
    const child = spawnFlotilla(
      [
        "up",
        "--json",
        "--port",
        "0",
        "--probe",
        "--data-dir",
        folder,
        ...(autoscale ? [] : ["--no-autoscale"]),
        ...args,
      ],
      {
        cwd: tmpdir(),
        ...options,
        env: { FLOTILLA_PROBE_EFFECTS: effectsFile(folder), LOG_LEVEL: "warn", ...env },
      },
    );
    const said = ended(child);
    if (!child.stdout) throw new Error("a child without the pipe that it was given");
    const lines = createInterface({ input: child.stdout });
    const first = new Promise<string>((resolve) => lines.once("line", resolve));
    const line = await Promise.race([
      first,
      said.then(({ code, stderr }) =>
        Promise.reject(new Error(`up ended with ${code} before it was ready:\n${stderr}`)),
      ),
    ]);
    const fleet = new Fleet({ ready: Ready.parse(JSON.parse(line)), child, said, ownFolder });
    lines.on("line", (text) => fleet.changes.push(Change.parse(JSON.parse(text))));
    return fleet;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("a fleet without a process");
    return pid;
  }

  /** Pids of that role which run now, in the order of their start. */
  pids(role: Role): number[] {
    const pids = new Set(this.ready.processes.filter((process) => process.role === role).map(({ pid }) => pid));
    for (const { event, pid, role: changed } of this.changes) {
      if (event === "exit") pids.delete(pid);
      else if (changed === role) pids.add(pid);
    }
    return [...pids];
  }

  /** Kills the oldest process of that role, and resolves when another one stands in its place. */
  async kill(role: Role): Promise<{ downMs: number }> {
    const seen = this.changes.length;
    const [pid] = this.pids(role);
    if (pid === undefined) throw new Error(`no process of role ${role}`);
    process.kill(pid, "SIGKILL");
    const find = (event: Change["event"]) =>
      this.changes.slice(seen).find((one) => one.event === event && one.role === role);
    const start = await until(() => find("start"), { what: `a new ${role}` });
    return { downMs: Date.parse(start.at) - Date.parse(find("exit")?.at ?? "") };
  }

  /** What the steps of probes have done to the world outside, so far. */
  async effects(): Promise<Effect[]> {
    // The file is there from the first effect on.
    const text = await readFile(effectsFile(this.ready.dataDir), "utf8").catch(() => "");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => Effect.parse(JSON.parse(line)));
  }

  /** Sends the signal to the parent of all and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<{ code: number | null; stderr: string; tookMs: number }> {
    const startedAt = performance.now();
    this.#child.kill(signal);
    const { code, stderr } = await this.#said;
    return { code, stderr, tookMs: performance.now() - startedAt };
  }

  /** Whether any process that it ever had is alive. */
  leavesAny(): boolean {
    return [...this.ready.processes, ...this.changes].some(({ pid }) => isAlive(pid));
  }

  /** Ends it, however it is, and removes what it made. */
  async dispose(): Promise<void> {
    await this.stop("SIGKILL");
    await until(() => !this.leavesAny(), { what: "the end of all children" });
    if (this.#ownFolder !== undefined) await rm(this.#ownFolder, { recursive: true, force: true });
  }
}

function effectsFile(dataDir: string): string {
  return `${dataDir}-effects.jsonl`;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
