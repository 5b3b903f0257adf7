import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeAgent } from "../src/describe.ts";
import { AgentModuleError, loadAgents } from "../src/load-agents.ts";
import { createProbe } from "../src/probe/probe.ts";

const fixture = (name: string) => join(import.meta.dirname, "fixtures", name);

describe("a folder of agents", () => {
  test("gives one agent a file", async () => {
    const agents = await loadAgents(fixture("agents"));
    expect(agents.map((agent) => agent.type)).toEqual(["summary"]);
  });

  test("cannot give an agent of a type that is taken", async () => {
    const known = await loadAgents(fixture("agents"));
    await expect(loadAgents(fixture("agents"), known)).rejects.toThrow(
      "summary.ts is not an agent module: the type summary is taken by a built-in agent",
    );
  });

  test.each([
    ["no-agent", "worker.mjs", "agent Invalid input: expected object, received undefined"],
    ["throwing-agent", "throws.js", "the moon is not full"],
    ["half-agent", "half.mjs", "agent.type use a-z, then a-z 0-9 -, at most 32"],
    ["half-agent", "half.mjs", "agent.input is not a zod schema"],
    ["half-agent", "half.mjs", "agent.run is not a function"],
    ["half-agent", "half.mjs", 'agent Unrecognized key: "colour"'],
  ])("%s is refused, and the error names %s and says: %s", async (folder, file, problem) => {
    const refusal = await loadAgents(fixture(folder)).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(AgentModuleError);
    expect(refusal).toMatchObject({
      file: join(fixture(folder), file),
      message: expect.stringContaining(problem) as string,
    });
  });

  test("that is not there is an error", async () => {
    await expect(loadAgents(fixture("nowhere"))).rejects.toThrow("ENOENT");
  });
});

describe("a description of an agent", () => {
  test("has its schemas as JSON Schema and its tools, and runs none", async () => {
    const [agent] = await loadAgents(fixture("agents"));
    expect(agent && describeAgent(agent)).toMatchObject({
      type: "summary",
      description: "Says in one sentence what a text says, and counts its words.",
      input: { type: "object", required: ["text"], additionalProperties: false },
      output: { properties: { words: { type: "integer" } } },
      tools: [{ name: "define", description: "What a word means in this house." }],
      mayPlan: false,
    });
  });

  test("is there for the probe too, whose output may be any value", () => {
    expect(describeAgent(createProbe())).toMatchObject({
      type: "probe",
      input: { properties: { steps: { type: "array" }, output: {} } },
      tools: [],
    });
  });
});
