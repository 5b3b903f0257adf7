import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cronIssues, lastSlot, nextSlot } from "../src/schedules/cron.ts";

const berlin = "Europe/Berlin";
const at = (text: string) => Date.parse(text);
const iso = (ms: number) => new Date(ms).toISOString();

describe("slots", () => {
  test.each([
    ["0 8 * * *", "UTC", "2026-03-01T08:00:00Z", "2026-03-02T08:00:00.000Z"],
    ["0 8 * * *", berlin, "2026-03-28T12:00:00Z", "2026-03-29T06:00:00.000Z"],
    ["0 8 * * *", berlin, "2026-10-24T12:00:00Z", "2026-10-25T07:00:00.000Z"],
    ["0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"],
    ["*/15 9-17 * * 1-5", "America/New_York", "2026-07-03T21:46:00Z", "2026-07-06T13:00:00.000Z"],
  ])("%s in %s come after %s at %s", (cron, timeZone, after, next) => {
    expect(iso(nextSlot({ cron, timeZone }, at(after)))).toBe(next);
  });

  test("on the day that the clock goes forward and back, a time by night comes once", () => {
    for (const day of ["2026-03-29", "2026-10-25"]) {
      const cron = { cron: "30 2 * * *", timeZone: berlin };
      const first = nextSlot(cron, at(`${day}T00:00:00Z`) - 3_600_000);
      expect(iso(first).slice(0, 10)).toBe(day);
      expect(nextSlot(cron, first) - first).toBeGreaterThan(20 * 3_600_000);
    }
  });

  test("the last one up to a time is the last of those that `next` gives", () => {
    const instant = fc.integer({ min: at("2026-01-01"), max: at("2030-01-01") });
    const crons = fc.constantFrom("*/7 * * * *", "5 4 * * *", "0 0 1 * *", "30 2 * * 0");
    fc.assert(
      fc.property(crons, fc.constantFrom("UTC", "Asia/Kolkata"), instant, (cron, timeZone, now) => {
        const last = lastSlot({ cron, timeZone }, now, 0);
        expect(last).toBeLessThanOrEqual(now);
        expect(nextSlot({ cron, timeZone }, last)).toBeGreaterThan(now);
        expect(lastSlot({ cron, timeZone }, now, now + 5)).toBe(now + 5);
      }),
    );
  });
});

test.each([
  ["* * * * *", "Mars/Base", "/timeZone"],
  ["* * * * * *", "UTC", "/cron"],
  ["@daily", "UTC", "/cron"],
  ["60 * * * *", "UTC", "/cron"],
  ["0 0 31 2 *", "UTC", "/cron"],
  ["", "UTC", "/cron"],
])("%j in %s is refused at %s", (cron, timeZone, path) => {
  expect(cronIssues({ cron, timeZone }, at("2026-01-01")).map((issue) => issue.path)).toEqual([path]);
});

test("what is well is not refused", () => {
  expect(cronIssues({ cron: "0 8 * * MON", timeZone: berlin }, at("2026-01-01"))).toEqual([]);
});
