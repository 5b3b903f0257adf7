import { execFile, spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const folder = join(root, "infra/prometheus");
const rules = await readFile(join(folder, "rules.yml"), "utf8");

const isMissing = spawnSync("promtool", ["--version"]).error !== undefined;
const describePromtool = isMissing ? describe.skip : describe;
const reason = isMissing ? " (skipped: no promtool on PATH, it comes with Debian's prometheus)" : "";

/** What promtool says about a copy of the rules, changed or not. */
async function promtool(args: string[], change: (text: string) => string = (text) => text) {
  const copy = await mkdtemp(join(tmpdir(), "flotilla-rules-"));
  onTestFinished(() => rm(copy, { recursive: true }));
  await cp(folder, copy, { recursive: true });
  await writeFile(join(copy, "rules.yml"), change(rules));
  return new Promise<{ passed: boolean; output: string }>((done) => {
    execFile("promtool", args, { cwd: copy }, (error, stdout, stderr) =>
      done({ passed: error === null, output: stdout + stderr }),
    );
  });
}

describePromtool(`the rules for Prometheus${reason}`, () => {
  test("are well formed", async () => {
    const { passed, output } = await promtool(["check", "rules", "rules.yml"]);
    expect(passed, output).toBe(true);
  });

  test("fire when they should and are silent otherwise", async () => {
    const { passed, output } = await promtool(["test", "rules", "rules.test.yml"]);
    expect(passed, output).toBe(true);
  });

  test.each([
    ["a lag is let pass", "flotilla_due_lag_seconds) > 5", "flotilla_due_lag_seconds) > 7"],
    ["a lag alarms too early", "for: 1m", "for: 30s"],
    ["one supervisor speaks for all", "max(flotilla_due_lag_seconds)", "min(flotilla_due_lag_seconds)"],
    ["active workflows are counted by each supervisor", "max(flotilla_active", "sum(flotilla_active"],
    ["superseded claims hide failures", '=~"completed|failed"', '=~".+"'],
  ])("are not let through when %s", async (_, right, wrong) => {
    expect(rules).toContain(right);
    const { passed, output } = await promtool(["test", "rules", "rules.test.yml"], (text) =>
      text.replaceAll(right, wrong),
    );
    expect(passed).toBe(false);
    expect(output).toContain("FAILED");
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

test("every runbook that an alert names exists, and names its alert", async () => {
  const alerts = rules.split(/^ *- alert: /m).slice(1);
  const named = alerts.flatMap((text) => {
    const runbook = /^ *runbook: (.+)$/m.exec(text)?.[1];
    return runbook === undefined ? [] : [{ alert: text.slice(0, text.indexOf("\n")), runbook }];
  });
  expect(named.map(({ alert }) => alert)).toContain("due_lag_alarm");
  for (const { alert, runbook } of named) expect(await readFile(join(root, runbook), "utf8")).toContain(`\`${alert}\``);
});
