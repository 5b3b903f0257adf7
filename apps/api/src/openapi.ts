import { readFileSync } from "node:fs";
import {
  FailureView,
  ItemView,
  Notification,
  SubmitView,
  TaskView,
  WorkflowRequest,
  WorkflowSummary,
  WorkflowView,
} from "@flotilla/workflow";
import { z } from "zod";
import { type ProblemCode, ProblemView, problemType, statusOf } from "./problem.ts";
import type { AnswerDoc, RouteDoc } from "./route-doc.ts";
import type { DocumentedRoute } from "./route-index.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")));

/** Schemas that clients generate types from, by name; all others stand where they are used. */
const named = {
  FailureView,
  ItemView,
  Notification,
  Problem: ProblemView,
  SubmitView,
  TaskView,
  WorkflowRequest,
  WorkflowSummary,
  WorkflowView,
};

/** Problems of every route that needs a key, and of every route that takes a body. */
const authenticatedProblems: readonly ProblemCode[] = ["unauthenticated", "rate-limited", "store-unavailable"];
const bodyProblems: readonly ProblemCode[] = ["invalid-json", "invalid-body", "too-large", "unsupported-media-type"];

/** The OpenAPI 3.1 description of the routes, with a path for each. */
export function openApiOf(routes: readonly DocumentedRoute[]) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, url, doc } of routes) {
    const path = url.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(doc) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Flotilla", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    paths,
    webhooks: { notification: { post: notification } },
    components: {
      schemas: Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, schemaOf(schema)])),
      securitySchemes: { apiKey: { type: "http", scheme: "bearer" } },
    },
  };
}

/** What is sent to the `callbackUrl` of a workflow. */
const notification = {
  summary: "A workflow has ended, or something of it waits for a person; signed as Standard Webhooks has it",
  parameters: Object.entries({
    "webhook-id": "the same however often it is sent",
    "webhook-timestamp": "of this try, in seconds since the epoch",
    "webhook-signature": "`v1,` and base64, one for each secret of `GET /v1/callback-secrets`, blank separated",
  }).map(([name, description]) => ({
    name,
    in: "header",
    required: true,
    description,
    schema: { type: "string" },
  })),
  requestBody: { required: true, content: content({ "application/json": Notification }) },
  responses: {
    "2XX": { description: "Taken" },
    410: { description: "Never to be sent again" },
    default: { description: "To be sent again later" },
  },
};

function operation(doc: RouteDoc) {
  return {
    operationId: doc.id,
    summary: doc.summary,
    security: doc.isPublic ? [] : [{ apiKey: [] }],
    parameters: parameters(doc),
    ...(doc.body && {
      requestBody: { required: doc.body.isRequired, content: content({ "application/json": doc.body.schema }) },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(doc.answers).map(([status, answer]) => [status, response(answer)])),
      ...problemResponses(problemsOf(doc)),
    },
  };
}

function parameters(doc: RouteDoc) {
  return [
    ...fields("path", doc.params),
    ...fields("query", doc.query),
    ...Object.entries(doc.headers ?? {}).map(([name, description]) => ({
      name,
      in: "header",
      description,
      schema: { type: "string" },
    })),
  ];
}

function fields(place: "path" | "query", schema: z.ZodObject | undefined) {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => ({
    name,
    in: place,
    required: place === "path",
    schema: schemaOf(field),
  }));
}

function problemsOf(doc: RouteDoc): Set<ProblemCode> {
  return new Set<ProblemCode>([
    ...doc.problems,
    ...(doc.isPublic ? [] : authenticatedProblems),
    ...(doc.body ? bodyProblems : []),
    "internal-error",
  ]);
}

/** One response for each status, naming the codes that it comes with. */
function problemResponses(codes: Iterable<ProblemCode>) {
  const byStatus = Map.groupBy(codes, statusOf);
  return Object.fromEntries(
    [...byStatus].map(([status, together]) => [
      status,
      {
        description: together.map((code) => `\`${code}\``).join(", "),
        content: content({ [problemType]: ProblemView }),
        ...((status === 429 || status === 503) && { headers: headers({ "Retry-After": "whole seconds" }) }),
      },
    ]),
  );
}

function response(answer: AnswerDoc) {
  return {
    description: answer.description,
    ...(answer.content && { content: content(answer.content) }),
    ...(answer.headers && { headers: headers(answer.headers) }),
  };
}

function headers(described: Record<string, string>) {
  return Object.fromEntries(
    Object.entries(described).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

function content(byType: Record<string, z.ZodType>) {
  return Object.fromEntries(Object.entries(byType).map(([type, schema]) => [type, { schema: reference(schema) }]));
}

function reference(schema: z.ZodType): JsonSchema {
  const name = Object.entries(named).find(([, candidate]) => candidate === schema)?.[0];
  return name === undefined ? schemaOf(schema) : { $ref: `#/components/schemas/${name}` };
}

/** As clients write it: a field with a default may be left out, and an answer may grow fields. */
function schemaOf(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}
