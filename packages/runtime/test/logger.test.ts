import { createLogger } from "@flotilla/runtime";
import { expect, test } from "vitest";

function collect(level: "debug" | "info" = "info") {
  const lines: string[] = [];
  const logger = createLogger({ role: "api", level, stream: { write: (line) => void lines.push(line) } });
  return { logger, lines, text: () => lines.join("") };
}

test("every line names the role, and lines below the level are not written", () => {
  const { logger, lines } = collect();
  logger.debug("quiet");
  logger.info({ workflowId: "wf_1" }, "hello");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", role: "api", workflowId: "wf_1", msg: "hello" });
});

test("secrets never reach a line, as fields, in headers, in URLs or in the text of an error", () => {
  const { logger, text } = collect();
  logger.info({ password: "s3cret", redis: { password: "s3cret" } });
  logger.info({ apiKey: "s3cret", req: { headers: { authorization: "Bearer s3cret" } } });
  logger.info({ url: "redis://user:s3cret@redis:6379" }, "connecting to rediss://:s3cret@redis");
  logger.error({ err: new Error("cannot reach https://u:s3cret@host/v1 with Bearer s3cret") });
  expect(text()).not.toContain("s3cret");
  expect(text()).toContain("redis:6379");
});
