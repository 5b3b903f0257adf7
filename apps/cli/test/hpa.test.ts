import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideReplicas, emptyMemory, type HpaMemory, type HpaSpec, type ScalingRules } from "../src/scale/hpa.ts";
import { agentHpaFile, readHpa } from "../src/scale/hpa-object.ts";

const unlimited = (stabilizationMs = 0): ScalingRules => ({
  stabilizationMs,
  select: "Max",
  policies: [{ type: "Pods", value: 1000, periodMs: 1000 }],
});

const plain: HpaSpec = {
  minReplicas: 1,
  maxReplicas: 100,
  tolerance: 0.1,
  metrics: [{ name: "backlog", averageValue: 20 }],
  scaleUp: unlimited(),
  scaleDown: unlimited(),
};

/** What one turn makes of so many replicas and that backlog. */
function once(spec: HpaSpec, replicas: number, backlog: number | undefined, memory: HpaMemory = emptyMemory): number {
  return decideReplicas(spec, memory, { now: 0, replicas, values: new Map([["backlog", backlog]]) }).replicas;
}

/** A fleet that always does as it is told, from one turn to the next. */
class Turns {
  replicas: number;
  #memory = emptyMemory;
  readonly #spec: HpaSpec;

  constructor(spec: HpaSpec, replicas: number) {
    this.#spec = spec;
    this.replicas = replicas;
  }

  at(seconds: number, backlog: number | undefined): number {
    const input = { now: seconds * 1000, replicas: this.replicas, values: new Map([["backlog", backlog]]) };
    const { replicas, memory } = decideReplicas(this.#spec, this.#memory, input);
    this.#memory = memory;
    return (this.replicas = replicas);
  }
}

describe("what the metric asks for", () => {
  // desiredReplicas = ceil(currentReplicas * currentMetricValue / desiredMetricValue), the value being that of a replica.
  test.each([
    { replicas: 1, backlog: 40, wanted: 2, why: "twice the target doubles" },
    { replicas: 4, backlog: 40, wanted: 2, why: "half the target halves" },
    { replicas: 2, backlog: 61, wanted: 4, why: "what is begun is rounded up" },
    { replicas: 10, backlog: 219, wanted: 10, why: "a ratio of 1.095 is within the tolerance" },
    { replicas: 10, backlog: 220, wanted: 10, why: "a ratio of 1.1 is the edge of it" },
    { replicas: 10, backlog: 221, wanted: 12, why: "above 1.1 all of it counts" },
    { replicas: 10, backlog: 180, wanted: 10, why: "so is one of 0.9" },
    { replicas: 10, backlog: 179, wanted: 9, why: "below 0.9 it counts" },
    { replicas: 3, backlog: 0, wanted: 1, why: "nothing to do is the least that there may be" },
    { replicas: 3, backlog: 100_000, wanted: 100, why: "there is a most" },
  ])("$why: $replicas with $backlog are $wanted", ({ replicas, backlog, wanted }) => {
    expect(once(plain, replicas, backlog)).toBe(wanted);
  });

  test("a value that is not known changes nothing", () => {
    expect(once(plain, 5, undefined)).toBe(5);
    expect(once(plain, 5, Number.NaN)).toBe(5);
  });

  test("of several metrics the one that asks for the most counts, and an unknown one lets nothing be taken away", () => {
    const metrics = [...plain.metrics, { name: "active", averageValue: 50 }];
    const decide = (backlog: number | undefined, active: number | undefined) =>
      decideReplicas({ ...plain, metrics }, emptyMemory, {
        now: 0,
        replicas: 4,
        values: new Map([
          ["backlog", backlog],
          ["active", active],
        ]),
      }).replicas;
    expect(decide(200, 100)).toBe(10);
    expect(decide(20, 500)).toBe(10);
    expect(decide(20, undefined)).toBe(4);
    expect(decide(200, undefined)).toBe(10);
  });

  test("a number out of bounds is brought back without asking, and zero is off", () => {
    expect(once(plain, 120, undefined)).toBe(100);
    expect(once({ ...plain, minReplicas: 3 }, 1, undefined)).toBe(3);
    expect(once(plain, 0, 1000)).toBe(0);
  });
});

describe("how fast it goes", () => {
  const rules = (select: ScalingRules["select"], stabilizationMs = 0): ScalingRules => ({
    stabilizationMs,
    select,
    policies: [
      { type: "Pods", value: 4, periodMs: 60_000 },
      { type: "Percent", value: 10, periodMs: 60_000 },
    ],
  });

  // The example of the documentation: 80 replicas down to 10, by 4 pods or 10 % a minute, whichever is more.
  test("by the documented example of a scale-down", () => {
    const fleet = new Turns({ ...plain, minReplicas: 10, scaleDown: rules("Max") }, 80);
    expect(fleet.at(0, 0)).toBe(72);
    expect(fleet.at(30, 0)).toBe(72);
    expect(fleet.at(60, 0)).toBe(64);
    const sizes = Array.from({ length: 20 }, (_, turn) => fleet.at(120 + turn * 60, 0));
    // From 40 on a tenth is less than four.
    expect(sizes.slice(0, 4)).toEqual([57, 51, 45, 40]);
    expect(sizes.slice(4, 7)).toEqual([36, 32, 28]);
    expect(sizes.at(-1)).toBe(10);
  });

  test("the smaller of the policies by Min, and not at all by Disabled", () => {
    expect(once({ ...plain, scaleDown: rules("Min") }, 80, 0)).toBe(76);
    expect(once({ ...plain, scaleUp: rules("Min") }, 20, 2000)).toBe(22);
    expect(once({ ...plain, scaleDown: rules("Disabled") }, 80, 0)).toBe(80);
    expect(once({ ...plain, scaleUp: rules("Disabled") }, 2, 2000)).toBe(2);
  });

  test("down only to the most that was wanted within the window", () => {
    const fleet = new Turns({ ...plain, scaleDown: unlimited(300_000) }, 1);
    expect(fleet.at(0, 200)).toBe(10);
    expect(fleet.at(15, 0)).toBe(10);
    expect(fleet.at(150, 100)).toBe(10);
    expect(fleet.at(299, 0)).toBe(10);
    expect(fleet.at(300, 0)).toBe(5);
    expect(fleet.at(449, 0)).toBe(5);
    expect(fleet.at(450, 0)).toBe(1);
  });

  test("up only to the least that was wanted within the window", () => {
    const fleet = new Turns({ ...plain, scaleUp: unlimited(60_000) }, 2);
    expect(fleet.at(0, 40)).toBe(2);
    expect(fleet.at(15, 400)).toBe(2);
    expect(fleet.at(59, 400)).toBe(2);
    expect(fleet.at(61, 400)).toBe(20);
  });

  test("what was added within a period counts against it, and what was taken away gives it back", () => {
    const both = { ...plain, scaleUp: rules("Min"), scaleDown: rules("Max") };
    const fleet = new Turns(both, 40);
    expect(fleet.at(0, 4000)).toBe(44);
    expect(fleet.at(30, 4000)).toBe(44);
    expect(fleet.at(61, 4000)).toBe(48);
  });
});

const arbitraryRules = fc.record({
  stabilizationMs: fc.constantFrom(0, 30_000, 300_000),
  select: fc.constantFrom("Max" as const, "Min" as const, "Disabled" as const),
  policies: fc.array(
    fc.record({
      type: fc.constantFrom("Pods" as const, "Percent" as const),
      value: fc.integer({ min: 1, max: 200 }),
      periodMs: fc.constantFrom(15_000, 60_000),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});
const arbitrarySpec = fc
  .record({ min: fc.integer({ min: 1, max: 5 }), more: fc.nat(20), scaleUp: arbitraryRules, scaleDown: arbitraryRules })
  .map(({ min, more, scaleUp, scaleDown }) => ({
    ...plain,
    minReplicas: min,
    maxReplicas: min + more,
    scaleUp,
    scaleDown,
  }));
const arbitraryTurns = fc.array(
  fc.record({ waitS: fc.integer({ min: 1, max: 90 }), backlog: fc.option(fc.nat(600), { nil: undefined }) }),
  {
    minLength: 1,
    maxLength: 40,
  },
);

describe("whatever happens", () => {
  test("the number stays within its bounds, and moves only towards what some metric of the window asked for", () => {
    fc.assert(
      fc.property(arbitrarySpec, arbitraryTurns, (spec, turns) => {
        const fleet = new Turns(spec, spec.minReplicas);
        let seconds = 0;
        for (const { waitS, backlog } of turns) {
          seconds += waitS;
          const before = fleet.replicas;
          const after = fleet.at(seconds, backlog);
          expect(after).toBeGreaterThanOrEqual(spec.minReplicas);
          expect(after).toBeLessThanOrEqual(spec.maxReplicas);
          if (backlog === undefined) expect(after).toBe(before);
          else if (after > before) expect(after).toBeLessThanOrEqual(Math.ceil(backlog / 20));
          else if (after < before) expect(after).toBeGreaterThanOrEqual(Math.min(before, Math.ceil(backlog / 20)));
        }
      }),
    );
  });

  test("what it remembers is bounded by its windows", () => {
    fc.assert(
      fc.property(arbitrarySpec, arbitraryTurns, (spec, turns) => {
        let memory = emptyMemory;
        let replicas = spec.minReplicas;
        let now = 0;
        for (const { waitS, backlog } of turns) {
          now += waitS * 1000;
          ({ memory, replicas } = decideReplicas(spec, memory, {
            now,
            replicas,
            values: new Map([["backlog", backlog]]),
          }));
          const ages = [...memory.wishes, ...memory.ups, ...memory.downs].map(({ at }) => now - at);
          if (backlog !== undefined) expect(Math.max(0, ...ages)).toBeLessThan(300_000);
        }
      }),
    );
  });

  test("the autoscaler of kubernetes/ does not flap: a burst goes up once and down once", async () => {
    const spec = { ...(await readHpa(agentHpaFile)), minReplicas: 1 };
    fc.assert(
      fc.property(fc.integer({ min: 50, max: 2000 }), fc.integer({ min: 1, max: 30 }), (tasks, seconds) => {
        const fleet = new Turns(spec, 1);
        const sizes = [1];
        let backlog = tasks;
        for (let at = 0; at < 20 * 60 + (tasks * seconds) / 10; at += 15) {
          sizes.push(fleet.at(at, backlog));
          // Ten tasks at once in each.
          backlog = Math.max(0, backlog - Math.floor((fleet.replicas * 10 * 15) / seconds));
        }
        const moves = sizes.slice(1).map((size, index) => Math.sign(size - (sizes[index] ?? 0)));
        const turnsOfDirection = moves
          .filter((move) => move !== 0)
          .filter((move, index, all) => index > 0 && move !== all[index - 1]);
        expect(turnsOfDirection.length).toBeLessThanOrEqual(1);
        expect(sizes.at(-1)).toBe(1);
      }),
    );
  });
});
