import { expect, test } from "vitest";
import type { Connection } from "../../src/index.ts";
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
}
