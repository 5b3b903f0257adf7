import { DeadLetter, type DeadLetters } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { refuseOthersThanOperators } from "../authentication.ts";
import { parse } from "../parse.ts";
import { DeadLetterParameters } from "../query.ts";

const DeadLetterList = z.object({ deadLetters: z.array(DeadLetter) });

/** What the intakes have refused, for operators. */
export function intakeRoutes(app: FastifyInstance, { deadLetters }: { deadLetters: Pick<DeadLetters, "list"> }): void {
  app.route({
    method: "GET",
    url: "/intake/dead-letters",
    config: {
      doc: {
        id: "listDeadLetters",
        summary: "List messages of intake streams that were refused, newest first; for operators",
        query: DeadLetterParameters,
        answers: { 200: { description: "The newest", content: { "application/json": DeadLetterList } } },
        problems: ["invalid-body", "forbidden"],
      },
    },
    onRequest: refuseOthersThanOperators,
    handler: async (request) => {
      const { limit } = parse(DeadLetterParameters, request.query, "/query");
      return { deadLetters: await deadLetters.list(limit) };
    },
  });
}
