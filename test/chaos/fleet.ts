import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Client, createClient } from "@flotilla/client";
import { httpFetch } from "@flotilla/client/node";
import { connect, disconnect, RedisKeyStore } from "@flotilla/fleet";
import { freePort } from "@flotilla/redis";
import { createLogger, parseConfig, redisEnvironment, redisSettings } from "@flotilla/runtime";
import { Member, type Role } from "./member.ts";

/** How many processes of each kind. */
export interface Shape {
  supervisors: number;
  agents: number;
}

export interface FleetOptions {
  /** Holds blobs, and the effects. */
  dir: string;
  /** How the processes find Redis, as the environment says it: one, a cluster, sentinels; directly or through a proxy. */
  redis: Record<string, string>;
  shape: Shape;
  /** Beside what every process is given. */
  env?: Record<string, string>;
  /** Beside that, for one process only. */
  envOf?: (role: Role, index: number) => Record<string, string>;
  agentType?: string;
}

const tenant = "chaos";

/** How long the client repeats a call while the fleet is away, in ms: longer than any outage that a run makes. */
const patienceMs = 180_000;

/** A fleet of plain processes under the driver, each started again when it ends. */
export class Fleet {
  readonly members: readonly Member[];
  readonly client: Client;
  readonly url: string;
  readonly apiKey: string;
  readonly effectsFile: string;
  /** Answers 503 so far. */
  unavailable = 0;

  private constructor(made: { members: readonly Member[]; url: string; apiKey: string; effectsFile: string }) {
    this.members = made.members;
    this.url = made.url;
    this.apiKey = made.apiKey;
    this.effectsFile = made.effectsFile;
    this.client = createClient({
      url: made.url,
      apiKey: made.apiKey,
      fetch: async (...call) => {
        const reply = await httpFetch(...call);
        if (reply.status === 503) this.unavailable++;
        return reply;
      },
      retryMs: patienceMs,
      reconnectMs: patienceMs,
      timeoutMs: 5000,
    });
  }

  /** Starts every process and waits until all are ready. */
  static async start({ dir, redis, shape, env = {}, envOf, agentType = "probe" }: FleetOptions): Promise<Fleet> {
    await mkdir(dir, { recursive: true });
    const port = await freePort();
    const effectsFile = join(dir, "effects.jsonl");
    const common = {
      ...redis,
      FLOTILLA_DATA_DIR: join(dir, "data"),
      FLOTILLA_PROBE: "1",
      FLOTILLA_PROBE_EFFECTS: effectsFile,
      AGENT_TYPE: agentType,
      LOG_LEVEL: "warn",
      METRICS_PORT: "0",
      PORT: String(port),
      ...env,
    };
    const member = (role: Role, index: number) =>
      new Member({
        role,
        name: `${role} ${index + 1}`,
        main: mainOf(role),
        env: { ...common, ...envOf?.(role, index) },
      });
    const members = [
      member("api", 0),
      ...Array.from({ length: shape.supervisors }, (_, index) => member("supervisor", index)),
      ...Array.from({ length: shape.agents }, (_, index) => member("agent", index)),
    ];
    const apiKey = await createKey(redis);
    const fleet = new Fleet({ members, url: `http://127.0.0.1:${port}`, apiKey, effectsFile });
    try {
      await Promise.all(members.map((one) => one.start()));
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  /** The processes of that role. */
  of(role: Role): Member[] {
    return this.members.filter((member) => member.role === role);
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }
}

function mainOf(role: Role): string {
  return join(import.meta.dirname, "..", "..", "apps", role, "src", "main.ts");
}

async function createKey(redis: Record<string, string>): Promise<string> {
  const settings = redisSettings(parseConfig(redisEnvironment, redis));
  const connection = connect(settings, "patient", createLogger({ role: "chaos", level: "silent" }));
  try {
    return (await new RedisKeyStore(connection).create(tenant, "user")).apiKey;
  } finally {
    disconnect(connection);
  }
}
