import { z } from "zod";
import { AgentType, TaskId } from "./ids.ts";
import type { Json } from "./json.ts";
import { RecoveryTable } from "./recovery.ts";

/** Most tasks in one workflow, appended phases included. */
export const maxTasks = 2000;

const duration = z.int().min(1).max(2_147_483_647);
const JsonValue = z.custom<Json>((value) => value !== undefined, "is required");

export const Priority = z.enum(["critical", "high", "normal", "low"]);
export type Priority = z.infer<typeof Priority>;

export const Retry = z.strictObject({
  attempts: z.int().min(1).max(100).meta({ description: "tries in all, the first one included" }),
  backoffMs: z.int().min(0).max(86_400_000).default(1000),
});

export const TaskRequest = z.strictObject({
  id: TaskId,
  agent: AgentType,
  input: JsonValue,
  dependsOn: z.array(TaskId).max(maxTasks).exactOptional(),
  priority: Priority.exactOptional(),
  timeoutMs: duration.exactOptional(),
  deadline: z.iso.datetime({ offset: true }).exactOptional(),
  retry: Retry.exactOptional(),
  fallback: AgentType.exactOptional().meta({
    description: "the agent type that takes over when this one cannot do it",
  }),
  recovery: RecoveryTable.exactOptional().meta({ description: "what is done about failures, by class; else as usual" }),
  onFailure: z.enum(["fail", "continue", "compensate"]).exactOptional(),
  compensate: z.strictObject({ agent: AgentType, input: JsonValue }).exactOptional(),
});
export type TaskRequest = z.infer<typeof TaskRequest>;

export const PhaseRequest = z.strictObject({
  name: TaskId,
  parallel: z.boolean(),
  concurrency: z.int().min(1).max(maxTasks).exactOptional(),
  tasks: z.array(TaskRequest).min(1),
});
export type PhaseRequest = z.infer<typeof PhaseRequest>;

export const PlanRequest = z.strictObject({ phases: z.array(PhaseRequest).min(1) });
export type PlanRequest = z.infer<typeof PlanRequest>;

const tagPart = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, "use 1 to 63 of A-Z a-z 0-9 . _ / -");

/** What a client asks for: the body of `POST /v1/workflows`. */
export const WorkflowRequest = z
  .strictObject({
    input: z.union([z.string(), z.record(z.string(), JsonValue)]),
    plan: PlanRequest.exactOptional(),
    agent: AgentType.exactOptional(),
    approvePlan: z.boolean().exactOptional().meta({
      description: "whether a person is to approve what is planned before it runs, be it asked for or made by agents",
    }),
    priority: Priority.exactOptional(),
    deadline: z.iso.datetime({ offset: true }).exactOptional(),
    startAt: z.iso.datetime({ offset: true }).exactOptional(),
    concurrency: z.int().min(1).max(maxTasks).exactOptional(),
    budget: z
      .strictObject({ usd: z.number().positive().exactOptional(), tokens: z.int().positive().exactOptional() })
      .refine(({ usd, tokens }) => usd !== undefined || tokens !== undefined, "names usd, tokens or both")
      .exactOptional(),
    tags: z
      .record(tagPart, tagPart)
      .refine((tags) => Object.keys(tags).length <= 10, "at most 10 tags")
      .exactOptional(),
    callbackUrl: z.url().exactOptional(),
  })
  .refine((request) => !(request.plan && request.agent), {
    path: ["agent"],
    message: "give a plan or an agent, not both",
  });
export type WorkflowRequest = z.infer<typeof WorkflowRequest>;
