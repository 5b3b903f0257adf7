import { writeFile } from "node:fs/promises";
import { serveTask } from "@flotilla/agents";
import { createLogger, createRedact, Tracing, tracingSettings, watchEventLoop } from "@flotilla/runtime";
import { findAgent } from "./agents.ts";
import { config } from "./config.ts";
import { createExecution } from "./execution.ts";

// The process of one task, under which workers have died; its worker starts it, and ends it.
const redact = createRedact(config);
const logger = createLogger({ role: "agent", level: config.LOG_LEVEL, redact });
// Where memory runs out, the kernel shall take this process and not its worker. Only Linux can be told so.
await writeFile("/proc/self/oom_score_adj", "1000").catch(() => undefined);
watchEventLoop("agent");
const tracing = new Tracing(tracingSettings(config, "agent"), (problem) => logger.warn({ problem }, "traces"));
await tracing.start();
const { executor } = createExecution(config, await findAgent(config), { logger, tracer: tracing, redact });
serveTask(async (task, journal, signal) => {
  try {
    return await executor(task, journal, signal);
  } finally {
    // The worker ends this process once it has the outcome.
    await tracing.stop();
  }
});
