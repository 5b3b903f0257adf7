import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { measureOutage, outages } from "./outages.ts";

/** The others, and longer outages, are in resume.full.test.ts. */
const quick = [
  "Redis is killed",
  "the peer is silent for ever, and another answers in its place",
  "the master of sentinels is killed",
];

describeRealRedis("after an outage of two seconds", () => {
  test.each(quick)("%s: work goes on within what is promised", { timeout: 120_000 }, async (name) => {
    const outage = outages[name];
    if (!outage) throw new Error(`no outage is called ${name}`);
    const { newWorkMs, oldWorkMs } = await measureOutage(outage, 2000);
    expect(newWorkMs).toBeLessThan(outage.withinMs);
    expect(oldWorkMs).toBeLessThan(outage.withinMs);
  });
});
