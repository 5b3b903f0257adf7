import type { CallbackRules } from "@flotilla/runtime";
import {
  SubmitView,
  TaskId,
  TaskView,
  validateRequest,
  WorkflowId,
  WorkflowRequest,
  type WorkflowStore,
  WorkflowSummary,
  WorkflowView,
} from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { RecentAgents } from "../agent-catalog.ts";
import { callerOf } from "../authentication.ts";
import { parse } from "../parse.ts";
import { invalidBody, notFound, Problem } from "../problem.ts";
import { ListParameters } from "../query.ts";
import { callbackIssues, unsignedCallback } from "./callbacks.ts";
import { answerSubmitted, idempotencyDoc, idempotencyOf, submitView } from "../submission.ts";

/** Path parameters of one workflow. */
export const WorkflowParams = z.object({ id: WorkflowId });
const TaskParams = WorkflowParams.extend({ taskId: TaskId });

const CancelRequest = z.strictObject({
  reason: z.string().max(1000).exactOptional(),
  compensate: z.boolean().exactOptional(),
});
const WorkflowPage = z.object({ workflows: z.array(WorkflowSummary), cursor: z.string().exactOptional() });

/** The id in a path; what has not its form cannot be there. */
export function idOf<S extends z.ZodType>(params: S, given: unknown): z.output<S> {
  const parsed = params.safeParse(given);
  if (!parsed.success) throw notFound();
  return parsed.data;
}

/** What the calls on workflows need. */
export interface WorkflowRoutes {
  store: WorkflowStore;
  agents: RecentAgents;
  callbacks: CallbackRules | undefined;
}

/** Submit, list, get, task and cancel. */
export function workflowRoutes(app: FastifyInstance, { store, agents, callbacks }: WorkflowRoutes): void {
  app.route({
    method: "POST",
    url: "/workflows",
    config: {
      doc: {
        id: "submitWorkflow",
        summary: "Submit a workflow; answered once it is stored",
        headers: idempotencyDoc("the same key and body give the same workflow"),
        body: { schema: WorkflowRequest, isRequired: true },
        answers: {
          202: {
            description: "Stored, to be run",
            content: { "application/json": SubmitView },
            headers: { Location: "where the workflow is" },
          },
        },
        problems: ["idempotency-conflict", "not-supported", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { tenant } = callerOf(request);
      const idempotency = idempotencyOf(request);
      const workflow = parse(WorkflowRequest, required(request.body));
      await refuseWhatCannotRun(workflow, { agents, callbacks });
      return answerSubmitted(reply, await store.submit(tenant, workflow, idempotency));
    },
  });

  app.route({
    method: "GET",
    url: "/workflows",
    config: {
      doc: {
        id: "listWorkflows",
        summary: "List workflows, newest first",
        query: ListParameters,
        answers: { 200: { description: "A page", content: { "application/json": WorkflowPage } } },
        problems: ["invalid-body", "invalid-cursor"],
      },
    },
    handler: async (request) => {
      const page = await store.list({
        tenant: callerOf(request).tenant,
        ...parse(ListParameters, request.query, "/query"),
      });
      if (page === undefined)
        throw new Problem("invalid-cursor", "use the cursor of an earlier page, with the same query");
      return page;
    },
  });

  app.route({
    method: "GET",
    url: "/workflows/:id",
    config: {
      doc: {
        id: "getWorkflow",
        summary: "Get a workflow with its plan, tasks and result",
        params: WorkflowParams,
        answers: { 200: { description: "The workflow", content: { "application/json": WorkflowView } } },
        problems: ["not-found"],
      },
    },
    handler: async (request) =>
      found(await store.get(callerOf(request).tenant, idOf(WorkflowParams, request.params).id)),
  });

  app.route({
    method: "GET",
    url: "/workflows/:id/tasks/:taskId",
    config: {
      doc: {
        id: "getTask",
        summary: "Get a finished task with its whole output",
        params: TaskParams,
        answers: { 200: { description: "The task", content: { "application/json": TaskView } } },
        problems: ["not-found", "not-finished"],
      },
    },
    handler: async (request) => {
      const { id, taskId } = idOf(TaskParams, request.params);
      const { task, settled } = found(await store.task(callerOf(request).tenant, id, taskId));
      if (!settled) throw new Problem("not-finished", `the task is ${task.status}`);
      return task;
    },
  });

  app.route({
    method: "POST",
    url: "/workflows/:id/cancel",
    config: {
      doc: {
        id: "cancelWorkflow",
        summary: "Ask for the end of a workflow; changes nothing on one that has ended",
        params: WorkflowParams,
        body: { schema: CancelRequest, isRequired: false },
        answers: { 202: { description: "The status right after", content: { "application/json": SubmitView } } },
        problems: ["not-found", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { id } = idOf(WorkflowParams, request.params);
      const { reason, compensate } = parse(CancelRequest, request.body ?? {});
      const undoing = compensate ? "compensates" : undefined;
      const status = found(await store.cancel(callerOf(request).tenant, id, reason, undoing));
      reply.code(202);
      return submitView(id, status);
    },
  });
}

/** Throws for a plan that can never run, and for what this release refuses. */
export async function refuseWhatCannotRun(
  workflow: WorkflowRequest,
  { agents, callbacks }: Pick<WorkflowRoutes, "agents" | "callbacks">,
): Promise<void> {
  let issues = validateRequest(workflow, await agents.recent());
  // An agent type that registered a moment ago must not be unknown for the sake of a cache.
  if (issues.length > 0) issues = validateRequest(workflow, await agents.read());
  issues.push(...callbackIssues(workflow, callbacks));
  if (issues.length > 0) throw invalidBody(issues);
  const unsupported = unsignedCallback(workflow, callbacks);
  if (unsupported.length > 0) {
    throw new Problem("not-supported", "the request asks for what this release does not do", { errors: unsupported });
  }
}

/** The body, where a call needs one. Throws the problem `invalid-json` when there is none. */
export function required(body: unknown): unknown {
  if (body === undefined) throw new Problem("invalid-json", "the body is empty");
  return body;
}

/** The value that the store found for this tenant. Throws the problem `not-found` when there is none. */
export function found<T>(value: T | undefined): T {
  if (value === undefined) throw notFound();
  return value;
}
