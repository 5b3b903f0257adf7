import { expect, test } from "vitest";
import { parseLabelSelector } from "../src/label-selector.ts";

const research = { agent_type: "research", tier: "a" };

// What `labels.Selector.String()` of the Kubernetes client writes, and what people write by hand.
test.each([
  ["", true],
  ["agent_type=research", true],
  ["agent_type==research", true],
  ["agent_type=review", false],
  ["agent_type!=review", true],
  ["missing!=review", true],
  ["agent_type in (research,review)", true],
  ["agent_type in (review)", false],
  ["agent_type notin (review)", true],
  ["missing notin (review)", true],
  ["missing in ()", false],
  ["agent_type", true],
  ["missing", false],
  ["!missing", true],
  ["!tier", false],
  ["agent_type in (research, review),tier=a", true],
  ["agent_type=research,tier=b", false],
  ["app.kubernetes.io/name=x", false],
])("%j selects research: %s", (text, isSelected) => {
  expect(parseLabelSelector(text)?.(research)).toBe(isSelected);
});

test.each(["=", "a=b=c", "a in b", "a in (b", ",", "a=b,", "a >b", "-a"])("%j is no selector", (text) => {
  expect(parseLabelSelector(text)).toBeUndefined();
});
