import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { killAt, type Place, places } from "./kill-at.ts";
import { type Exception, exceptions } from "./points.ts";

function isMeant({ app, place, code = "" }: Exception, { app: own, point }: Place): boolean {
  return own === app && point.name.startsWith(`${place}:`) && point.code.includes(code);
}

describeRealRedis("processes that are killed at every await", () => {
  test("lose nothing, do nothing twice, and come to each", { timeout: 1_200_000 }, async () => {
    const missed = await killAt(places);
    const unexplained = missed.filter((place) => !exceptions.some((exception) => isMeant(exception, place)));
    expect(unexplained.map(({ app, point }) => `${app} ${point.name}, line ${point.line}`)).toEqual([]);
  });
});

test("every exception is meant for failpoints that there are", () => {
  expect(exceptions.filter((exception) => !places.some((place) => isMeant(exception, place)))).toEqual([]);
});
