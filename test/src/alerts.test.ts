import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { describePromtool, promtool, rules } from "./promtool.ts";

const root = resolve(import.meta.dirname, "../..");

/** Those that the fleet promises by name. */
const contractAlerts = [
  "handoff_failure_alarm",
  "high_latency_alarm",
  "error_rate_alarm",
  "checkpoint_lag_alarm",
  "active_workflows_alarm",
  "recovery_alarm",
  "due_lag_alarm",
];

describePromtool("the rules for Prometheus", () => {
  test("are well formed", async () => {
    const { passed, output } = await promtool(["check", "rules", "rules.yml"]);
    expect(passed, output).toBe(true);
  });

  test("fire when they should and are silent otherwise", async () => {
    const { passed, output } = await promtool(["test", "rules", "rules.test.yml"]);
    expect(passed, output).toBe(true);
  });
});

test("the rules read metrics that the fleet has", async () => {
  const sources = globSync("packages/*/src/**/*.ts", { cwd: root });
  const texts = await Promise.all(sources.map((file) => readFile(join(root, file), "utf8")));
  const declared = new Set(
    texts.flatMap((text) => Array.from(text.matchAll(/\bname: "(flotilla_[a-z_]+)"/g), ([, name]) => name)),
  );
  const read = new Set(Array.from(rules.matchAll(/\b(flotilla_[a-z_]+?)(?:_bucket)?\b/g), ([, name]) => name));
  expect(read).toContain("flotilla_due_lag_seconds");
  expect([...read].filter((name) => !declared.has(name))).toEqual([]);
});

test("every alert names a runbook that exists and names it, says what is wrong, and how bad that is", async () => {
  const alerts = rules.split(/^ *- alert: /m).slice(1);
  const field = (text: string, name: string) => new RegExp(`^ *${name}: (.+)$`, "m").exec(text)?.[1];
  const named = new Map(alerts.map((text) => [text.slice(0, text.indexOf("\n")), text]));
  expect([...named.keys()]).toEqual(expect.arrayContaining(contractAlerts));
  for (const [alert, text] of named) {
    const runbook = field(text, "runbook") ?? "no runbook";
    expect(await readFile(join(root, runbook), "utf8"), alert).toContain(`\`${alert}\``);
    expect(field(text, "summary"), alert).toBeDefined();
    expect(text, alert).toMatch(/severity: (warning|critical)/);
  }
  for (const file of globSync("docs/runbooks/*.md", { cwd: root })) expect(rules).toContain(file);
});
