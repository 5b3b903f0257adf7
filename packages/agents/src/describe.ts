import type { AgentDescriptor, Json } from "@flotilla/workflow";
import { z } from "zod";
import type { Agent, AgentContext } from "./agent.ts";

/** What the fleet tells about an agent: its schemas as JSON Schema (2020-12), and its tools without running any. */
export function describeAgent(agent: Agent): AgentDescriptor {
  const tools = agent.tools?.(idleContext) ?? {};
  return {
    type: agent.type,
    description: agent.description,
    input: jsonSchema(agent.input, "input"),
    output: jsonSchema(agent.output, "output"),
    tools: Object.entries(tools).map(([name, { description }]) => ({
      name,
      description: typeof description === "string" ? description : "",
    })),
    mayPlan: agent.mayPlan ?? false,
  };
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  // A JSON Schema document is JSON; the round trip drops what its type allows beyond that.
  return JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io, unrepresentable: "any" })));
}

function refuse(): Promise<never> {
  return Promise.reject(new Error("an agent may only look at its context while it is described"));
}

/** Tools are built over a context; here nothing is claimed, so nothing can be done. */
const idleContext: AgentContext = {
  tenant: "",
  workflowId: "",
  taskId: "",
  attempt: 0,
  claim: 0,
  epoch: 0,
  signal: AbortSignal.abort(),
  revision: undefined,
  modelName: "",
  step: refuse,
  effect: refuse,
  approve: refuse,
  awaitSignal: refuse,
  handoff: refuse,
  state: { get: refuse, compareAndSet: refuse },
  generate: refuse,
  writeArtifact: refuse,
  progress: refuse,
};
