import { expect, test } from "vitest";
import { type Connection, RedisDeadLetters } from "../../src/index.ts";
import { fleetTag } from "../../src/keys.ts";
import { registeredAgents, registerWorker, unregisterWorker } from "../../src/registry.ts";
import { Scripts } from "../../src/index.ts";

const descriptor = (type: string, description = "") => ({
  type,
  description,
  input: null,
  output: null,
  tools: [],
  mayPlan: false,
});

/** The rules of `register` and `agents`. */
export function registryRules(connection: () => Connection): void {
  test("agent types are known by name with the workers that live, and stay known without any", async () => {
    const scripts = new Scripts(connection());
    await registerWorker(scripts, descriptor("zeta"), "w1");
    await registerWorker(scripts, descriptor("alpha"), "w1");
    await registerWorker(scripts, descriptor("alpha"), "w2");
    await registerWorker(scripts, descriptor("alpha", "newer"), "w2");
    const seen = async () =>
      (await registeredAgents(scripts)).map(({ descriptor: { type }, workers }) => [type, workers]);
    expect(await seen()).toEqual([
      ["alpha", 2],
      ["zeta", 1],
    ]);
    expect((await registeredAgents(scripts))[0]?.descriptor.description).toBe("newer");
    await unregisterWorker(scripts, descriptor("zeta"), "w1");
    expect(await seen()).toEqual([
      ["alpha", 2],
      ["zeta", 0],
    ]);
  });

  test("a worker that has not said for long that it lives does not count", async () => {
    const scripts = new Scripts(connection());
    await registerWorker(scripts, descriptor("gone"), "w1");
    await connection().zadd(`${fleetTag}:workers:gone`, 1, "w1");
    const agents = await registeredAgents(scripts);
    expect(agents.find(({ descriptor: { type } }) => type === "gone")?.workers).toBe(0);
  });

  test("of what an intake refuses the last are kept, each once, and read newest first", async () => {
    const scripts = new Scripts(connection());
    const letters = new RedisDeadLetters(scripts);
    const letter = (offset: number) => ({
      ...{ stream: "s", partition: 0, offset, tenant: "acme", at: new Date(0).toISOString() },
      ...{ code: "invalid-json", detail: "the body is not JSON", errors: [], bytes: 1, text: "{" },
    });
    expect(await letters.list(10)).toEqual([]);
    for (const offset of [1, 2, 1, 3]) await letters.add(letter(offset));
    // Those of one millisecond stand in any order.
    expect((await letters.list(10)).map(({ offset }) => offset).toSorted()).toEqual([1, 2, 3]);
    await connection().zadd("{intake}:dead", 1, "s 0 1", 2, "s 0 2");
    expect(await letters.list(2)).toEqual([letter(3), letter(2)]);
    await scripts.call("dead-letter", "{intake}", [2, "s 0 4", JSON.stringify(letter(4))]);
    expect((await letters.list(10)).map(({ offset }) => offset).toSorted()).toEqual([3, 4]);
    expect(await connection().hlen("{intake}:letters")).toBe(2);
  });
}
