import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { controls } from "./controls.ts";
import { check, properties } from "./properties.ts";

test.each(Object.values(properties))("$name", (property) => {
  const details = check(property, 150);
  expect(details.failed, fc.defaultReportMessage(details)).toBe(false);
});

describe("the properties have teeth", () => {
  test.each(controls)("$property finds it when $mistake", ({ property, tampering }) => {
    expect(check(properties[property], 1500, { tampering, seed: 2 }).failed).toBe(true);
  });
});
