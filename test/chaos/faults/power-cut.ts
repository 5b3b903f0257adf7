import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RedisNode } from "../redis-node.ts";
import { readSyncTrace } from "../sync-trace.ts";
import type { Fault } from "./fault.ts";

const attachWithinMs = 15_000;

/** Why power cuts cannot be simulated on this machine; undefined where they can. */
export async function whyNoPowerCuts(): Promise<string | undefined> {
  try {
    await promisify(execFile)("strace", ["-V"]);
    return undefined;
  } catch {
    return "there is no strace, which tells what is on the disk";
  }
}

/**
 * The power of Redis fails: it is killed, and its append-only file is cut where the last finished sync says that the disk
 * has it. Killing alone shows nothing, for the kernel keeps what was written. Traced from the start of the fault on.
 */
export function powerCut(redis: RedisNode, afterMs: { min: number; max: number }): Fault {
  return {
    name: "power cut",
    async inject(random) {
      const waitMs = random.between(afterMs.min, afterMs.max);
      const { pid } = redis;
      if (pid === undefined) return undefined;
      const file = await appendOnlyFile(redis.dir);
      const tracePath = join(redis.dir, "sync.trace");
      const tracer = await trace(pid, file, tracePath);
      const traced = once(tracer, "exit");
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await redis.hold("SIGKILL");
      await traced;
      const { writtenBytes, syncedBytes } = readSyncTrace(await readFile(tracePath, "utf8"));
      const lostBytes = writtenBytes - syncedBytes;
      await truncate(file, (await stat(file)).size - lostBytes);
      await redis.release();
      return `${writtenBytes} bytes written, ${lostBytes} of them lost`;
    },
  };
}

async function appendOnlyFile(dir: string): Promise<string> {
  const folder = join(dir, "appendonlydir");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".incr.aof"));
  const [file] = files;
  if (file === undefined || files.length > 1) throw new Error(`append-only files in ${folder}: ${files.join(", ")}`);
  return join(folder, file);
}

/** Resolves when every thread of the process is traced. */
async function trace(pid: number, file: string, out: string): Promise<ChildProcess> {
  const calls = "trace=write,fdatasync,fsync";
  const args = ["-f", "-s", "0", "-e", calls, "-e", "signal=none", "-P", file, "-o", out, "-p", String(pid)];
  const tracer = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const deadline = AbortSignal.timeout(attachWithinMs);
  let said = "";
  const attached = new Promise<void>((resolve) => {
    tracer.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("attached")) resolve();
    });
  });
  const ended = once(tracer, "exit", { signal: deadline }).then(() => Promise.reject(new Error(`strace: ${said}`)));
  await Promise.race([attached, ended]);
  ended.catch(() => undefined);
  return tracer;
}
