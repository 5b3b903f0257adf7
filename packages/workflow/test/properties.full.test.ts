import fc from "fast-check";
import { expect, test } from "vitest";
import { check, properties } from "./properties.ts";

/** `PROPERTY_RUNS=100000` looks for what is rarer still. */
const runs = Number(process.env.PROPERTY_RUNS ?? 3000);

test.each(Object.values(properties))("$name, in many runs", (property) => {
  const details = check(property, runs);
  expect(details.failed, fc.defaultReportMessage(details)).toBe(false);
});
