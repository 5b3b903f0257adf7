import type { CallbackRules } from "@flotilla/runtime";
import {
  maxSchedules,
  ScheduleId,
  ScheduleRequest,
  type Schedules,
  ScheduleSummary,
  ScheduleView,
} from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { RecentAgents } from "../agent-catalog.ts";
import { callerOf } from "../authentication.ts";
import { parse } from "../parse.ts";
import { invalidBody, notFound, Problem } from "../problem.ts";
import { idempotencyDoc, idempotencyOf } from "../submission.ts";
import { found, idOf, refuseWhatCannotRun, required } from "./workflows.ts";

const ScheduleParams = z.object({ id: ScheduleId });
const ScheduleList = z.object({ schedules: z.array(ScheduleSummary) });

/** What schedules need. */
export interface ScheduleRoutes {
  schedules: Schedules;
  agents: RecentAgents;
  callbacks: CallbackRules | undefined;
}

/** Workflows that start again and again. */
export function scheduleRoutes(app: FastifyInstance, { schedules, agents, callbacks }: ScheduleRoutes): void {
  app.route({
    method: "POST",
    url: "/schedules",
    config: {
      doc: {
        id: "createSchedule",
        summary: "Start a workflow at every slot of a cron expression, each slot once",
        headers: idempotencyDoc("the same key and body give the same schedule"),
        body: { schema: ScheduleRequest, isRequired: true },
        answers: {
          201: {
            description: "Stored",
            content: { "application/json": ScheduleView },
            headers: { Location: "where the schedule is" },
          },
        },
        problems: ["idempotency-conflict", "not-supported", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { tenant } = callerOf(request);
      const idempotency = idempotencyOf(request);
      const wanted = parse(ScheduleRequest, required(request.body));
      await refuseWhatCannotRun(wanted.request, { agents, callbacks });
      const outcome = await schedules.create(tenant, wanted, idempotency);
      switch (outcome.kind) {
        case "invalid":
          throw invalidBody(outcome.issues);
        case "conflict":
          throw new Problem("idempotency-conflict", `the key came before with another body and made ${outcome.id}`);
        case "too-many":
          throw invalidBody([
            { path: "", code: "too-many", message: `a tenant has at most ${maxSchedules} schedules` },
          ]);
        case "stored":
          reply.code(201).header("location", `/v1/schedules/${outcome.schedule.id}`);
          return outcome.schedule;
      }
    },
  });

  app.route({
    method: "GET",
    url: "/schedules",
    config: {
      doc: {
        id: "listSchedules",
        summary: "List schedules, oldest first",
        answers: { 200: { description: "All of them", content: { "application/json": ScheduleList } } },
        problems: [],
      },
    },
    handler: async (request) => ({ schedules: await schedules.list(callerOf(request).tenant) }),
  });

  app.route({
    method: "GET",
    url: "/schedules/:id",
    config: {
      doc: {
        id: "getSchedule",
        summary: "Get a schedule with what it asks for",
        params: ScheduleParams,
        answers: { 200: { description: "The schedule", content: { "application/json": ScheduleView } } },
        problems: ["not-found"],
      },
    },
    handler: async (request) =>
      found(await schedules.get(callerOf(request).tenant, idOf(ScheduleParams, request.params).id)),
  });

  app.route({
    method: "DELETE",
    url: "/schedules/:id",
    config: {
      doc: {
        id: "deleteSchedule",
        summary: "Start nothing more; what was started goes on",
        params: ScheduleParams,
        answers: { 204: { description: "Removed" } },
        problems: ["not-found", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { id } = idOf(ScheduleParams, request.params);
      if (!(await schedules.remove(callerOf(request).tenant, id))) throw notFound();
      return reply.code(204).send();
    },
  });
}
