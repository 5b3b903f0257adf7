import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { describeTerraform, terraform, terraformFolder } from "./terraform.ts";

const root = resolve(terraformFolder, "../..");
const files = globSync("**/*.tf", { cwd: terraformFolder, exclude: ["**/.terraform/**"] });

const Rules = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string().exactOptional(),
          expr: z.string(),
          for: z.string().exactOptional(),
          labels: z.object({ severity: z.string() }).exactOptional(),
          annotations: z.object({ runbook: z.string() }).exactOptional(),
        }),
      ),
    }),
  ),
});
const Alarm = z.strictObject({
  name: z.string(),
  metric: z.string(),
  outcome: z.string().exactOptional(),
  windowMinutes: z.int().exactOptional(),
  groupBy: z.string().exactOptional(),
  statistic: z.enum(["max", "min", "sum", "absent"]),
  operator: z.enum([">", "<"]).exactOptional(),
  threshold: z.number().exactOptional(),
  forMinutes: z.int(),
  severity: z.enum(["CRITICAL", "WARNING"]),
  runbook: z.string(),
  summary: z.string(),
});

/** What an alert of Prometheus compares with what. Throws where it is none of the shapes that an alarm can have. */
function conditionOf(expr: string) {
  const [, absent] = /^absent\((\w+)\)$/.exec(expr) ?? [];
  if (absent !== undefined) return { metric: absent };
  const [, counted, outcome, window, risen] =
    /^sum\(increase\((\w+)\{outcome="(\w+)"\}\[(\d+)m\]\)\) > ([\d.]+)$/.exec(expr) ?? [];
  if (counted !== undefined) {
    return { metric: counted, outcome, windowMinutes: Number(window), operator: ">", threshold: Number(risen) };
  }
  const [, groupBy, metric, operator, threshold] =
    /^(?:max (?:by \((\w+)\) )?\(|max\()?(\w+)\)? ([<>]) ([\d.]+)$/.exec(expr) ?? [];
  if (metric === undefined) throw new Error(`no alarm can say ${expr}`);
  return { metric, ...(groupBy === undefined ? {} : { groupBy }), operator, threshold: Number(threshold) };
}

test("an alarm of Oracle Cloud fires at the number at which Prometheus does, after as long, as badly", async () => {
  const rules = Rules.parse(parse(await readFile(join(root, "infra/prometheus/rules.yml"), "utf8")));
  const expected = rules.groups.flatMap(({ rules: group }) =>
    group.flatMap(({ alert, expr, for: pending, labels, annotations }) => {
      if (alert === undefined) return [];
      return {
        name: alert,
        ...conditionOf(expr),
        // Oracle Cloud waits a minute at least.
        forMinutes: Number(pending?.replace("m", "") ?? 1),
        severity: labels?.severity.toUpperCase(),
        runbook: annotations?.runbook,
      };
    }),
  );
  const text = await readFile(join(terraformFolder, "modules/observability/alarms.json"), "utf8");
  const alarms = z.array(Alarm).parse(JSON.parse(text));
  expect(alarms.map(({ summary: _summary, statistic: _statistic, ...alarm }) => alarm)).toEqual(expected);
  // The worst of several supervisors counts, and of what they counted the sum.
  for (const { operator, statistic, outcome } of alarms) {
    const worst = operator === undefined ? "absent" : operator === ">" ? "max" : "min";
    expect(statistic).toBe(outcome === undefined ? worst : "sum");
  }
});

test("every variable and output says what it is, and no file has an id of a tenancy or a secret", async () => {
  expect(files.length).toBeGreaterThan(30);
  for (const file of [...files, "terraform.tfvars.example"]) {
    const text = await readFile(join(terraformFolder, file), "utf8");
    for (const [, block = ""] of text.matchAll(/^(?:variable|output) "\w+" (\{[\s\S]*?^\})/gm)) {
      expect(block, file).toMatch(/^ {2}description\s+= "[^"]{5,}/m);
    }
    expect(text, file).not.toMatch(/ocid1\.\w+\.oc1\.[a-z-]*\.[a-z0-9]{20,}/);
    expect(text, file).not.toMatch(/password|passphrase|private_key|auth_token/i);
  }
});

describeTerraform("Terraform", () => {
  test("finds every file formatted", async () => {
    const { passed, output } = await terraform(terraformFolder, ["fmt", "-check", "-recursive"]);
    expect(passed, output).toBe(true);
  });
});
