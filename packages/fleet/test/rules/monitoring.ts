import { expect, test } from "vitest";
import type { Connection } from "../../src/index.ts";
import { Scripts } from "../../src/index.ts";
import { fleetTag } from "../../src/keys.ts";

type Minutes = [number, ...(number | string[][])[]];

/** The rules of `tally` and `minutes`. */
export function monitoringRules(connection: () => Connection): void {
  const tally = (minute: number) => `${fleetTag}:tally:${minute}`;
  const take = async (most = 10, oldest = 100, window = 2) =>
    (await new Scripts(connection()).call("minutes", fleetTag, [most, oldest, window])) as Minutes;
  /** The minute that is over, and those before it as if nobody had taken the last `behind`. */
  async function behindBy(behind: number): Promise<number> {
    await connection().del(`${fleetTag}:minutes`);
    const [, over] = await take(1);
    await connection().set(`${fleetTag}:minutes`, Number(over) - behind);
    return Number(over);
  }

  test("what processes count in a minute is added up, and does not stay for ever", async () => {
    const scripts = new Scripts(connection());
    const minute = Number(await scripts.call("tally", fleetTag, [60_000, "a", 1, "b", 0.5]));
    expect(await scripts.call("tally", fleetTag, [60_000, "a", 2])).toBeGreaterThanOrEqual(minute);
    const sums = await connection().hgetall(tally(minute));
    expect(sums).toMatchObject({ b: "0.5" });
    const ttl = await connection().pttl(tally(minute));
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60_000);
  });

  test("the first to ask begins with the minute that has just been over", async () => {
    await connection().del(`${fleetTag}:minutes`);
    const [now, minute, ...more] = await take();
    expect(minute).toBe(Math.floor(now / 60_000) - 1);
    expect(more).toHaveLength(1);
  });

  test("a minute is taken by one, with the tallies of its window, its own the last", async () => {
    const over = await behindBy(2);
    await connection().hset(tally(over - 1), "a", 1);
    await connection().hset(tally(over), "a", 2);
    const [, first, firstWindow, second, secondWindow] = await take();
    expect([first, second]).toEqual([over - 1, over]);
    expect(firstWindow).toEqual([[], ["a", "1"]]);
    expect(secondWindow).toEqual([
      ["a", "1"],
      ["a", "2"],
    ]);
    const again = await take();
    // At most the one that has been over meanwhile.
    expect(again.length).toBeLessThanOrEqual(3);
    expect(again).not.toContain(over);
    await connection().del(tally(over - 1), tally(over));
  });

  test("what is left over is taken next, and what is too old by nobody", async () => {
    const over = await behindBy(50);
    const [, ...some] = await take(2, 5);
    expect(some.filter((_, place) => place % 2 === 0)).toEqual([over - 4, over - 3]);
    const [, ...rest] = await take(10, 5);
    expect(rest.filter((_, place) => place % 2 === 0).slice(0, 3)).toEqual([over - 2, over - 1, over]);
  });
}
