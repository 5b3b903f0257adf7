import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { askRedis, judgeRedis, type RedisFinding } from "@flotilla/fleet";
import { createLogger, redisSettings, redisSettingsOf } from "@flotilla/runtime";
import type { CommandContext } from "./action.ts";
import type { DoctorOptions } from "./commands/doctor.ts";
import type { CliConfig } from "./config.ts";
import { type ExitCode, exitCode } from "./exit.ts";
import { type DataDir, dataDirAt } from "./local/data-dir.ts";
import { findLocalFleet } from "./local/fleet-file.ts";
import { chooseRedis } from "./local/local-redis.ts";
import type { Terminal } from "./terminal.ts";

/** One thing that was looked at. `warning` wants attention, `bad` must be mended. */
interface Finding extends Omit<RedisFinding, "verdict"> {
  verdict: RedisFinding["verdict"] | "unreachable";
}

const oldestNode = 24;
const leastDiskBytes = 1024 ** 3;

/** Looks at what a fleet depends on, and says what is wrong and what to do: 78 when something must be mended. */
export async function examine({ options, config, terminal }: CommandContext<DoctorOptions>): Promise<ExitCode> {
  const dataDir = dataDirAt(options.dataDir ?? config.FLOTILLA_DATA_DIR);
  const findings = [checkNode(), await checkDisk(dataDir), ...(await checkRedis(config, dataDir, terminal))];
  for (const finding of findings) {
    if (terminal.json) terminal.emit(finding);
    else terminal.say(describe(finding));
  }
  const verdicts = new Set(findings.map(({ verdict }) => verdict));
  if (verdicts.has("unreachable")) return exitCode.unreachable;
  return verdicts.has("bad") ? exitCode.badConfiguration : exitCode.done;
}

function describe({ check, verdict, detail, advice }: Finding): string {
  const line = `${check.padEnd(16)} ${verdict.padEnd(12)} ${detail}`;
  return advice === undefined ? line : `${line}\n${" ".repeat(17)}${advice}`;
}

function finding(check: string, detail: string, fault?: { verdict: Finding["verdict"]; advice: string }): Finding {
  return { check, verdict: "ok", detail, ...fault };
}

function checkNode(): Finding {
  const isOld = Number.parseInt(process.versions.node, 10) < oldestNode;
  return finding(
    "node",
    process.version,
    isOld ? { verdict: "bad", advice: `run it with Node ${oldestNode}` } : undefined,
  );
}

async function checkDisk(dataDir: DataDir): Promise<Finding> {
  let folder = dataDir.path;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free at ${folder}`;
  const advice = "make room: Redis stops taking writes when its disk is full";
  return finding("disk", detail, free < leastDiskBytes ? { verdict: "bad", advice } : undefined);
}

async function checkRedis(config: CliConfig, dataDir: DataDir, terminal: Terminal): Promise<Finding[]> {
  const fleet = config.namesRedis ? undefined : await findLocalFleet(dataDir);
  if (!config.namesRedis && !fleet) return [await checkFutureRedis(config, terminal)];
  const named = redisSettings(config);
  const settings = fleet ? { ...redisSettingsOf(fleet.redis.url), durability: named.durability } : named;
  try {
    const masters = await askRedis(settings, createLogger({ role: "cli", level: "silent" }));
    return masters.flatMap((facts) => {
      const findings = judgeRedis(facts, settings.durability);
      return masters.length === 1
        ? findings
        : findings.map((one) => ({ ...one, detail: `${one.detail} (${facts.address})` }));
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const advice = "start it, or correct REDIS_URL; a firewall or a wrong password looks like this too";
    return [
      finding("redis", `${settings.host}:${settings.port} does not answer: ${reason}`, {
        verdict: "unreachable",
        advice,
      }),
    ];
  }
}

async function checkFutureRedis(config: CliConfig, terminal: Terminal): Promise<Finding> {
  const choice = await chooseRedis({ ...config, FLOTILLA_FETCH: false }, terminal.note);
  if (choice.kind === "server")
    return finding("redis", `no fleet is up; the next one runs ${choice.binary} ${choice.version}`);
  const advice = "install redis-server, run `npm run redis:fetch`, or set REDIS_URL";
  return finding("redis", "no fleet is up, and no redis-server is here", { verdict: "warning", advice });
}
