import {
  type Inbox,
  isDeeperThan,
  ItemDecision,
  itemIdPattern,
  ItemView,
  type Json,
  SettledItem,
} from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callerOf } from "../authentication.ts";
import { parse } from "../parse.ts";
import { invalidBody, notFound, Problem } from "../problem.ts";
import { ItemParameters } from "../query.ts";
import { idOf } from "./workflows.ts";

/** What an effect gave stands in the journal itself, which holds no more than this of one step. */
const maxWordBytes = 32_768;
const maxWordDepth = 32;

const ItemParams = z.object({ item: z.string().regex(itemIdPattern) });
const ItemPage = z.object({ items: z.array(ItemView), cursor: z.string().exactOptional() });

const JsonValue = z.custom<Json>((value) => value !== undefined, "is required");
const Word = JsonValue.refine(
  (value) => !isDeeperThan(value, maxWordDepth) && Buffer.byteLength(JSON.stringify(value)) <= maxWordBytes,
  "must be at most 32 KB of JSON, 32 levels deep",
);
const SettleRequest = z
  .strictObject({
    decision: ItemDecision,
    reason: z.string().max(1000).exactOptional(),
    edit: JsonValue.exactOptional().meta({
      description: "with `edit`: what may be done in place of what was asked, at most 32 KB; or another plan",
    }),
    result: Word.exactOptional().meta({ description: "with `happened`: what the effect gave; null unless given" }),
  })
  .refine(({ decision, edit }) => (edit === undefined) === (decision !== "edit"), {
    path: ["edit"],
    message: "goes with the decision `edit`, and with no other",
  })
  .refine(({ decision, result }) => result === undefined || decision === "happened", {
    path: ["result"],
    message: "goes with the decision `happened` only",
  });

/** What waits for people, and their word on it. */
export function inboxRoutes(app: FastifyInstance, { inbox }: { inbox: Inbox }): void {
  app.route({
    method: "GET",
    url: "/inbox",
    config: {
      doc: {
        id: "listItems",
        summary: "List what waits for a person, newest first",
        query: ItemParameters,
        answers: { 200: { description: "A page", content: { "application/json": ItemPage } } },
        problems: ["invalid-body", "invalid-cursor"],
      },
    },
    handler: async (request) => {
      const query = parse(ItemParameters, request.query, "/query");
      const page = await inbox.list({ tenant: callerOf(request).tenant, ...query });
      if (page === undefined)
        throw new Problem("invalid-cursor", "use the cursor of an earlier page, with the same query");
      return page;
    },
  });

  app.route({
    method: "POST",
    url: "/inbox/:item",
    config: {
      doc: {
        id: "settleItem",
        summary: "Settle an item; the first answer holds, and whoever repeats it word for word gets the same",
        params: ItemParams,
        body: { schema: SettleRequest, isRequired: true },
        answers: { 200: { description: "Settled by this call", content: { "application/json": SettledItem } } },
        problems: ["not-found", "already-settled", "unknown-outcome"],
      },
    },
    handler: async (request) => {
      const { item } = idOf(ItemParams, request.params);
      const verdict = parse(SettleRequest, request.body ?? {});
      const { tenant, id: by } = callerOf(request);
      const outcome = await inbox.settle(tenant, item, verdict, by);
      switch (outcome.kind) {
        case "settled":
          return outcome.item;
        case "unknown":
          throw notFound();
        case "already-settled":
          throw new Problem("already-settled", "the item was settled before, or its workflow is over");
        case "invalid":
          throw invalidBody(outcome.issues);
        case "refused": {
          const message = `this item is settled with ${outcome.decisions.join(", ")}`;
          throw invalidBody([{ path: "/decision", code: "invalid-value", message }]);
        }
      }
    },
  });
}
