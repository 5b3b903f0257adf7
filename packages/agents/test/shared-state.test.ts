import { type ClaimedTask, ClaimLostError } from "@flotilla/workflow";
import { expect, test } from "vitest";
import { z } from "zod";
import { type AgentContext, defineAgent } from "../src/agent.ts";
import { maxInlineBytes } from "../src/steps.ts";
import { Rig } from "./rig.ts";

function rigOf(body: (ctx: AgentContext) => Promise<unknown>): Rig {
  return new Rig(
    defineAgent<unknown, unknown>({
      type: "sharer",
      description: "Shares.",
      input: z.unknown(),
      output: z.unknown(),
      run: async (ctx) => ({ output: await body(ctx) }),
    }),
  );
}

const later: Partial<ClaimedTask> = { claim: 2, epoch: 2 };

test("a value is null at version 0 until somebody sets it, and is changed by who has seen its version", async () => {
  const rig = rigOf(async ({ state }) => {
    const before = await state.get("total");
    const set = await state.compareAndSet("total", before.version, 5);
    const stale = await state.compareAndSet("total", before.version, 6);
    return [before, set, stale, await state.get("total")];
  });
  expect(await rig.run()).toMatchObject({
    output: [
      { value: null, version: 0 },
      { isSet: true, value: 5, version: 7 },
      { isSet: false, value: 5, version: 7 },
      { value: 5, version: 7 },
    ],
  });
});

test("a replay sees what was seen, whatever others have made of it, and sets nothing again", async () => {
  const rig = rigOf(async ({ state }) => {
    const { value, version } = await state.get("total");
    const { isSet } = await state.compareAndSet("total", version, Number(value) + 1);
    return [value, isSet];
  });
  rig.journal.shared.set("total", { value: 1, version: 3 });
  expect(await rig.run()).toMatchObject({ output: [1, true] });
  rig.journal.shared.set("total", { value: 40, version: 90 });
  expect(await rig.run(later)).toMatchObject({ output: [1, true] });
  expect(rig.journal.shared.get("total")).toEqual({ value: 40, version: 90 });
});

test("who has lost the claim shares nothing more", async () => {
  const rig = rigOf(({ state }) => state.compareAndSet("total", 0, 1));
  rig.journal.recordsLeft = 0;
  await expect(rig.run()).rejects.toBeInstanceOf(ClaimLostError);
  expect(rig.journal.shared.size).toBe(0);
});

test.each([
  ["a value above 32 KB", "n", "x".repeat(maxInlineBytes), true, "state-too-large"],
  ["more than all may be", "n", 1, false, "state-too-large"],
  ["a name with #", "a#b", 1, true, "invalid-state-name"],
  ["no name", "", 1, true, "invalid-state-name"],
])("%s is refused, and the agent may go on without", async (_, name, value, hasRoom, code) => {
  const rig = rigOf(({ state }) => state.compareAndSet(name, 0, value).catch(({ failure }) => failure.code));
  rig.journal.hasRoom = hasRoom;
  expect(await rig.run()).toMatchObject({ output: code });
});
