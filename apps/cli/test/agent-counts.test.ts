import { expect, test } from "vitest";
import { agentCounts, builtInAgents } from "../src/local/agent-counts.ts";

test("without options there is one process of each built-in type", () => {
  expect([...agentCounts(undefined, false)]).toEqual(builtInAgents.map((type) => [type, 1]));
});

test("counts override, add, and take away", () => {
  const counts = agentCounts("research=3,review=0,own-type=2", false);
  expect(Object.fromEntries(counts)).toMatchObject({ planner: 1, research: 3, review: 0, "own-type": 2 });
});

test("the probe is there when it is asked for, and only then", () => {
  expect(agentCounts(undefined, true).get("probe")).toBe(1);
  expect(agentCounts("probe=4", true).get("probe")).toBe(4);
  expect(() => agentCounts("probe=1", false)).toThrow("--probe");
});

test.each(["research", "research=", "research=x", "research=-1", "research=65", "Research=1", "=1", ""])(
  "%j is refused",
  (text) => {
    expect(() => agentCounts(text, false)).toThrow("type=N");
  },
);
