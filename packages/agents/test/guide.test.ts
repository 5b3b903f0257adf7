import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ScriptedModel, startScriptedModel } from "@flotilla/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createModel } from "../src/models/model.ts";
import { agent } from "./fixtures/agents/summary.ts";
import { Rig } from "./rig.ts";

let provider: ScriptedModel;
beforeEach(async () => void (provider = await startScriptedModel()));
afterEach(() => provider.stop());

test("the guide shows the agent that these tests run", async () => {
  const guide = await readFile(join(import.meta.dirname, "../../../docs/guides/write-an-agent.md"), "utf8");
  const example = await readFile(join(import.meta.dirname, "fixtures/agents/summary.ts"), "utf8");
  const [, shown] = /```ts\n(.*?)```/s.exec(guide) ?? [];
  expect(shown).toBe(example);
});

test("the agent of the guide asks its model, which asks its tool, and a replay asks neither", async () => {
  provider.say(
    { kind: "calls", calls: [{ id: "call_1", name: "define", arguments: { word: "fence" } }] },
    { kind: "calls", calls: [{ id: "call_2", name: "define", arguments: { word: "Epoch" } }] },
    { kind: "text", text: '{"sentence":"Every claim has a higher epoch."}' },
  );
  const rig = new Rig(agent, createModel({ baseUrl: provider.baseUrl, model: "scripted" }));
  const done = {
    kind: "completed",
    output: { sentence: "Every claim has a higher epoch.", words: 4 },
    artifacts: [{ name: "summary.txt", contentType: "text/plain", bytes: 32, sha256: expect.any(String) as string }],
  };
  const input = { text: "An epoch fences writes." };
  expect(await rig.run({ input })).toEqual(done);
  expect(provider.requests.map((request) => request.messages.at(-1)?.content)).toEqual([
    "An epoch fences writes.",
    expect.stringContaining("fence is not known"),
    "a number that rises with every claim of a task",
  ]);
  expect(rig.journal.messages).toEqual(["reading"]);

  expect(await rig.run({ input, claim: 2, epoch: 2 })).toEqual(done);
  expect(provider.requests).toHaveLength(3);
});
