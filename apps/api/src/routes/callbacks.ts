import type { CallbackRules } from "@flotilla/runtime";
import type { Issue, WorkflowRequest } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callerOf } from "../authentication.ts";
import { Problem } from "../problem.ts";

const path = "/callbackUrl";
const unsigned = "the fleet has no FLOTILLA_CALLBACK_SECRET, so it could not sign what it sends";

const SecretsView = z.object({
  secrets: z.array(z.string().meta({ description: "`whsec_` and base64, as libraries of Standard Webhooks take it" })),
});

/** What is wrong with the callback of a request, on a fleet that sends any. */
export function callbackIssues({ callbackUrl }: WorkflowRequest, callbacks: CallbackRules | undefined): Issue[] {
  const message = callbackUrl === undefined ? undefined : callbacks?.problemOf(callbackUrl);
  return message === undefined ? [] : [{ path, code: "invalid-value", message }];
}

/** That a request names a callback, on a fleet that sends none. */
export function unsignedCallback({ callbackUrl }: WorkflowRequest, callbacks: CallbackRules | undefined): Issue[] {
  return callbackUrl === undefined || callbacks ? [] : [{ path, code: "not-supported", message: unsigned }];
}

/** How receivers know that a callback is from this fleet. */
export function callbackRoutes(app: FastifyInstance, { callbacks }: { callbacks: CallbackRules | undefined }): void {
  app.route({
    method: "GET",
    url: "/callback-secrets",
    config: {
      doc: {
        id: "callbackSecrets",
        summary: "The secrets that sign the callbacks of this tenant; more than one while they are replaced",
        answers: { 200: { description: "Any of them may have signed", content: { "application/json": SecretsView } } },
        problems: ["not-supported"],
      },
    },
    handler: async (request) => {
      if (!callbacks) throw new Problem("not-supported", unsigned);
      return { secrets: callbacks.secretsOf(callerOf(request).tenant) };
    },
  });
}
