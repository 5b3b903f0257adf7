import { ConfigError, type DurabilitySettings, type Logger, type RedisSettings, type Service } from "@flotilla/runtime";
import { agreeOnFormat } from "./format.ts";
import { askRedis, type RedisFacts } from "./redis-facts.ts";

/** One thing about a Redis that was looked at. `warning` wants attention; with `bad` a fleet must not run. */
export interface RedisFinding {
  check: string;
  verdict: "ok" | "warning" | "bad";
  detail: string;
  /** What to do about it, unless it is `ok`. */
  advice?: string;
}

const oldestVersion = "6.2";
const slowMs = 10;
const largeSkewMs = 500;

/** How long a process waits at its start for a Redis that is away. */
const startTimeoutMs = 10_000;

/** What a fleet at that level of durability has to say about a Redis. */
export function judgeRedis(facts: RedisFacts, durability: DurabilitySettings): RedisFinding[] {
  return [
    judgeVersion(facts),
    judgeRole(facts, durability),
    judgeDisk(facts, durability),
    judgeEviction(facts),
    judgeLatency(facts),
    judgeClock(facts),
  ];
}

/**
 * Refuses, when it starts, a Redis on which a fleet loses work, or whose data a later release has written in a form that this
 * one cannot read, with exit code 78; warns of what may go wrong.
 */
export class RedisCheck implements Service {
  readonly #redis: RedisSettings;
  readonly #logger: Logger;

  constructor(redis: RedisSettings, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    const masters = await askRedis(this.#redis, this.#logger, startTimeoutMs);
    const findings = masters.flatMap((facts) =>
      judgeRedis(facts, this.#redis.durability).map((finding) => ({ ...finding, address: facts.address })),
    );
    for (const { verdict, ...finding } of findings)
      if (verdict === "warning") this.#logger.warn(finding, "redis check");
    const bad = findings.filter(({ verdict }) => verdict === "bad");
    if (bad.length === 0) return agreeOnFormat(this.#redis, this.#logger, startTimeoutMs);
    throw new ConfigError(
      bad.map(({ check, address, detail, advice = "" }) => ({
        variable: check,
        problem: `of ${address}: ${detail}`,
        advice,
      })),
    );
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}

function found(check: string, detail: string, fault?: { verdict: "warning" | "bad"; advice: string }): RedisFinding {
  return { check, verdict: "ok", detail, ...fault };
}

function judgeVersion({ version }: RedisFacts): RedisFinding {
  if (version === undefined) {
    return found("redis", "the server does not tell its version", {
      verdict: "warning",
      advice: `see to it that it is ${oldestVersion} or later`,
    });
  }
  const isOld = version.localeCompare(oldestVersion, "en", { numeric: true }) < 0;
  return found("redis", version, isOld ? { verdict: "bad", advice: `run Redis ${oldestVersion} or later` } : undefined);
}

function judgeRole({ isMaster, replicas }: RedisFacts, { level, replicas: needed }: DurabilitySettings): RedisFinding {
  const check = "redis-replication";
  if (!isMaster) return found(check, "a replica", { verdict: "bad", advice: "name the master, or its sentinels" });
  const detail = `master, ${replicas === 1 ? "1 replica" : `${replicas} replicas`}`;
  if (level !== "strict" || replicas >= needed) return found(check, detail);
  const advice = `REDIS_DURABILITY=strict waits for ${needed}: add replicas, or lower REDIS_STRICT_REPLICAS or the level`;
  return found(check, detail, { verdict: "bad", advice });
}

function judgeDisk({ isDurable, fsync }: RedisFacts, { level }: DurabilitySettings): RedisFinding {
  const check = "redis-durability";
  const detail =
    isDurable === undefined
      ? "the server does not tell whether it has an append-only file"
      : isDurable
        ? `append-only file, fsync ${fsync ?? "unknown"}`
        : "no append-only file";
  if (level === "fast") {
    const advice = "set appendonly yes and appendfsync everysec or always, or work is lost when Redis restarts";
    return found(check, detail, isDurable !== true || fsync === "no" ? { verdict: "warning", advice } : undefined);
  }
  const advice = `REDIS_DURABILITY=${level} needs appendonly yes and appendfsync always`;
  if (isDurable === true && fsync === "always") return found(check, detail);
  const isUnknown = isDurable !== false && fsync === undefined;
  return found(check, detail, { verdict: isUnknown ? "warning" : "bad", advice });
}

function judgeEviction({ evictionPolicy }: RedisFacts): RedisFinding {
  const check = "redis-eviction";
  const advice = "set maxmemory-policy noeviction: evicted keys are lost work";
  if (evictionPolicy === undefined) return found(check, "the server does not tell", { verdict: "warning", advice });
  return found(check, evictionPolicy, evictionPolicy === "noeviction" ? undefined : { verdict: "bad", advice });
}

function judgeLatency({ latencyMs }: RedisFacts): RedisFinding {
  const advice = "move Redis nearer: every task waits for it several times";
  const fault = latencyMs > slowMs ? { verdict: "warning" as const, advice } : undefined;
  return found("redis-latency", `${latencyMs.toFixed(1)} ms`, fault);
}

function judgeClock({ clockSkewMs }: RedisFacts): RedisFinding {
  const advice = "run a time service on both machines: logs and delays of the queue will not line up";
  const fault = Math.abs(clockSkewMs) > largeSkewMs ? { verdict: "warning" as const, advice } : undefined;
  return found("clock-skew", `${Math.round(clockSkewMs)} ms`, fault);
}
