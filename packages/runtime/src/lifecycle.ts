import type { Json } from "@flotilla/workflow";
import { badConfigurationExitCode, ConfigError } from "./config.ts";
import type { Logger } from "./logger.ts";
import { watchEventLoop } from "./watchdog.ts";

/** Grace when the parent is gone: nobody reads what is left to say, and orphans must not outlive a fleet by long. */
const orphanGraceMs = 1000;

/** Anything long-lived. `stop` may come before `start`, and twice. */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What a process tells its parent over IPC once it has started. */
export interface ReadyMessage {
  kind: "ready";
  [detail: string]: Json;
}

/** One process: what runs in it, and how long it may take to stop. */
export interface ProcessOptions {
  role: string;
  /** Started in this order and stopped in the reverse one. */
  services: readonly Service[];
  logger: Logger;
  /** From the signal to the exit; 10 s by default. */
  graceMs?: number;
  /** What the parent is told beside `kind`; asked once all services have started. */
  details?: () => { [detail: string]: Json };
}

/**
 * Runs the services until SIGTERM, SIGINT or the end of the parent that forked this process; then stops them and exits
 * 0, or 1 when they do not stop within the grace. Exits 1 when a service does not start or an error reaches nobody,
 * 78 when a service refuses its configuration (`ConfigError`), 70 when the event loop stands still for 4 s. Resolves once all services have started.
 */
export async function runProcess({ role, services, logger, graceMs = 10_000, details }: ProcessOptions): Promise<void> {
  let ending: Promise<never> | undefined;
  const end = (reason: string, code: number, withinMs: number) =>
    (ending ??= stopAndExit(services, logger, reason, code, withinMs));

  // Ctrl-C reaches the whole group and the parent then asks again: a second signal must not cut the first one's grace.
  process.on("SIGTERM", () => void end("SIGTERM", 0, graceMs));
  process.on("SIGINT", () => void end("SIGINT", 0, graceMs));
  const orphaned = () => void end("the parent is gone", 0, Math.min(graceMs, orphanGraceMs));
  process.on("disconnect", orphaned);
  // The parent may have died while this process was loading: then the event has passed. Undefined means no parent.
  // oxlint-disable-next-line typescript/no-unnecessary-boolean-literal-compare
  if (process.connected === false) orphaned();
  process.on("uncaughtException", (error) => {
    logger.fatal({ err: error }, "an error reached nobody");
    process.exit(1);
  });
  watchEventLoop(role);

  try {
    for (const service of services) {
      if (ending !== undefined) return;
      await service.start();
    }
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.message}\n`);
      await end("the configuration is refused", badConfigurationExitCode, graceMs);
    }
    logger.fatal({ err: error }, "a service did not start");
    await end("a service did not start", 1, graceMs);
  }
  if (ending !== undefined) return;
  const ready: ReadyMessage = { ...details?.(), kind: "ready" };
  process.send?.(ready);
  logger.info(ready, "ready");
}

async function stopAndExit(
  services: readonly Service[],
  logger: Logger,
  reason: string,
  code: number,
  withinMs: number,
): Promise<never> {
  logger.info({ reason, withinMs }, "stopping");
  const overrun = setTimeout(() => {
    logger.error({ withinMs }, "did not stop within the grace");
    process.exit(1);
  }, withinMs);
  let exitCode = code;
  for (const service of services.toReversed()) {
    try {
      await service.stop();
    } catch (error) {
      logger.error({ err: error }, "a service did not stop");
      exitCode = 1;
    }
  }
  clearTimeout(overrun);
  process.exit(exitCode);
}
