import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { measureOutage, outages } from "./outages.ts";

const lengths = [12_000];

describeRealRedis("after an outage", () => {
  const cases = Object.entries(outages).flatMap(([name, outage]) => lengths.map((ms) => ({ name, ms, outage })));

  test.each(cases)("of $ms ms, $name: work goes on within what is promised", async ({ name, ms, outage }) => {
    const { newWorkMs, oldWorkMs } = await measureOutage(outage, ms);
    console.log(
      `${name}, away for ${ms} ms: new work in ${Math.round(newWorkMs)} ms, old in ${Math.round(oldWorkMs)} ms`,
    );
    expect(newWorkMs).toBeLessThan(outage.withinMs);
    expect(oldWorkMs).toBeLessThan(outage.withinMs);
  });
});
